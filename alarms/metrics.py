"""What the alarm worker counts."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from alarms.standing import Change
from devices.alarms import Severity


class AlarmMetrics:
    """The worker's metrics; registered nowhere where there is no registry."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        """Register them."""
        self._changes = Counter(
            "courtyard_alarms_changes", "Alarms raised and cleared", ["what", "severity"], registry=registry
        )
        self._waiting = Gauge(
            "courtyard_alarms_waiting_marks", "Marks of the write log that were not looked at yet", registry=registry
        )
        self._turn = Gauge(
            "courtyard_alarms_turn_timestamp_seconds", "When the rules were looked at last", registry=registry
        )

    def turned(self, changes: Iterable[tuple[Change, Severity]], *, waiting: int, now_s: float) -> None:
        """A turn is done."""
        for change, severity in changes:
            self._changes.labels(str(change.what), str(severity)).inc()
        self._waiting.set(waiting)
        self._turn.set(now_s)
