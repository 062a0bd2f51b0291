"""What the rollup worker has done, in the Prometheus text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from aggregate.edges import NS_PER_S


class RollupMetrics:
    """Counters and gauges of one worker."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        """Register them.

        Args:
            registry: where; None registers them nowhere.
        """
        self._rolled = Counter(
            "courtyard_rollups_cells",
            "Quarters of an hour of devices that were rolled up: closed, changed by late rows, or made anew",
            ["kind", "why"],
            registry=registry,
        )
        self._touched = Counter(
            "courtyard_rollups_late_cells",
            "Closed quarters of an hour of devices that late rows fell into",
            ["kind"],
            registry=registry,
        )
        self._waiting = Gauge("courtyard_rollups_waiting", "Marks in the write log", registry=registry)
        self._closed = Gauge(
            "courtyard_rollups_closed_timestamp_seconds",
            "Up to when the rollups of a kind are whole",
            ["kind"],
            registry=registry,
        )

    def rolled(self, kind: str, why: str, number: int) -> None:
        """Count cells that were rolled up."""
        self._rolled.labels(kind, why).inc(number)

    def touched(self, kind: str, number: int) -> None:
        """Count cells that late rows fell into."""
        self._touched.labels(kind).inc(number)

    def waiting(self, number: int) -> None:
        """Say how many marks wait."""
        self._waiting.set(number)

    def closed(self, kind: str, until_ns: int) -> None:
        """Say up to when a kind is rolled up."""
        self._closed.labels(kind).set(until_ns / NS_PER_S)
