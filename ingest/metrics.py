"""Prometheus metrics. Gauges and counters are read from `Health` when scraped, so they cannot disagree with it.

Labels are kinds and reason codes: their number is bounded by the declarations, whatever devices send.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from devices.errors import SettingsError
from ingest.deliver import WriterState
from ingest.health import Health
from ingest.ledger import Entry, per_kind, per_reason

_PREFIX = "courtyard_ingest"
_WRITE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class IngestMetrics(Collector):
    """Ingest's metrics in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry, health: Callable[[], Health]) -> None:
        """Register the metrics.

        Args:
            registry: where to.
            health: says how ingest is.
        """
        self._health = health
        self._write_seconds = Histogram(
            f"{_PREFIX}_write_seconds",
            "Duration of accepted writes to the store",
            buckets=_WRITE_BUCKETS,
            registry=registry,
        )
        registry.register(self)

    def observe_write(self, seconds: float) -> None:
        """Note the duration of one accepted write, in seconds."""
        self._write_seconds.observe(seconds)

    def describe(self) -> list[Metric]:
        """No metrics before the first scrape: ingest is not complete when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all metrics."""
        health = self._health()
        for entry, text in (
            (Entry.RECEIVED, "Readings received, and messages refused whole"),
            (Entry.WRITTEN, "Readings written to the store"),
            (Entry.DUPLICATE, "Readings received more than once"),
            (Entry.REPLAYED, "Dead letters replayed"),
        ):
            counter = CounterMetricFamily(f"{_PREFIX}_readings_{entry}", text, labels=["kind"])
            for kind, value in sorted(per_kind(health.counts, entry).items()):
                counter.add_metric([kind], value)
            yield counter
        refused = CounterMetricFamily(f"{_PREFIX}_refused", "Messages and readings refused", labels=["reason"])
        for reason, value in sorted(per_reason(health.counts).items()):
            refused.add_metric([reason], value)
        yield refused
        missing = GaugeMetricFamily(
            f"{_PREFIX}_missing_readings", "Readings that never came although later ones did", labels=["kind"]
        )
        for kind, value in sorted(health.missing.items()):
            missing.add_metric([kind], value)
        yield missing
        yield CounterMetricFamily(
            f"{_PREFIX}_sessions_lost", "Times the broker had forgotten the session", value=health.sessions_lost
        )
        state = GaugeMetricFamily(f"{_PREFIX}_writer_state", "1 for what the writer does now", labels=["state"])
        for each in WriterState:
            state.add_metric([each], float(health.writer is each))
        yield state
        yield from _gauges(health)


def _gauges(health: Health) -> Iterator[Metric]:
    for name, text, value in (
        ("up", "Whether all threads live", health.alive),
        ("connected", "Whether the connection to the broker stands", health.connected),
        ("backpressure", "Whether acknowledging has stopped because the spool takes no more", health.backpressure),
        ("last_message_timestamp_seconds", "When the last message came", (health.last_message_ms or 0) / 1000),
        ("spool_batches", "Batches in the spool", health.pending_batches),
        ("spool_messages", "Messages in the spool", health.pending_messages),
        ("spool_bytes", "Size of what waits in the spool", health.pending_bytes),
        ("spool_oldest_seconds", "How long the oldest message has waited in the spool", health.oldest_pending_s),
    ):
        yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=float(value))


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """A running metrics endpoint.

    Attributes:
        port: where it listens.
    """

    port: int
    _server: WSGIServer
    _thread: Thread

    def close(self) -> None:
        """Stop it and let go of its port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(port: int, registry: CollectorRegistry, *, host: str = "127.0.0.1") -> MetricsServer:
    """Serve a registry's metrics over HTTP on a port of their own.

    Args:
        port: TCP port; 0 for a free one.
        registry: what to serve.
        host: address to listen on.

    Returns:
        The running endpoint; close it.

    Raises:
        SettingsError: it cannot listen there.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as exc:
        raise SettingsError(f"metrics cannot be served on {host}:{port}: {exc}. Choose another METRICS_PORT") from exc
    return MetricsServer(server.server_port, server, thread)
