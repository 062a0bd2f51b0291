"""Alarm rules as data: what a kind declares, so that its devices can say that something needs hands.

Severities are those of ITU-T X.733. What is raised when, and cleared when, is `alarms.engine`'s to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from devices.names import Text


class Severity(StrEnum):
    """How bad it is (ITU-T X.733, perceived severity)."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Which events are meant: the event's name, and the labels that its categories must have."""

    event: str
    where: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A number is too high, or too low.

    Attributes:
        field: the number, of telemetry.
        at: at this value or beyond it the condition begins.
        clear: at this value or on its other side it ends; between the two it stays as it is.
        of: a field of telemetry that the number is a fraction of; None for the number itself.
    """

    field: str
    at: float
    clear: float
    of: str | None = None

    @property
    def high(self) -> bool:
        """Whether high is bad."""
        return self.at > self.clear


@dataclass(frozen=True, kw_only=True, slots=True)
class Filling:
    """A level rises so fast that it will soon be too high. Falls, as when something is emptied, count for nothing.

    Attributes:
        field: the level, of telemetry.
        at: at this value or beyond it is too high; then the condition holds, however fast it got there.
        within_s: where it would be there within so many seconds the condition begins; where it would take twice as
            long, or does not rise any more, the condition ends.
        over_s: its rate is that of so many seconds before; of at least a sixth of these, or nothing is said.
    """

    field: str
    at: float
    within_s: float
    over_s: float = 21_600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """A state of telemetry has one of some labels.

    Attributes:
        field: the state.
        labels: while it has one of these the condition holds.
    """

    field: str
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lasting:
    """Something began, and has not ended yet.

    Attributes:
        key: the identity field that tells which.
        begins: the event that begins it.
        ends: the events that end it.
    """

    key: str
    begins: Match
    ends: tuple[Match, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """Many events in a short time.

    Attributes:
        of: which events.
        count: how many begin the condition; it ends when there have been fewer.
        within_s: in how many seconds.
    """

    of: Match
    count: int
    within_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """The device says that it is offline, or its telemetry does not hold any more; not while it is in maintenance."""


Condition = Level | Filling | Labels | Lasting | Burst | Silence


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When a device needs hands.

    Attributes:
        name: its stable name.
        title: its name for people.
        severity: how bad it is.
        condition: what must hold.
        advice: what to do.
        for_s: for how long it must hold before an alarm is raised, in seconds.
        clear_s: for how long it must not hold before the alarm is cleared.
        within: name of a rule that says the same and worse: while that one's condition holds, this one has no alarm.
    """

    name: str
    title: Text
    severity: Severity
    condition: Condition
    advice: Text
    for_s: float = 0.0
    clear_s: float = 0.0
    within: str | None = None


OFFLINE = Rule(
    name="offline",
    title=Text("Offline", "离线"),
    severity=Severity.MAJOR,
    condition=Silence(),
    advice=Text("Check power and network at the device.", "检查设备供电和网络。"),
    for_s=120,
)
"""Every kind has this rule."""

UPLINK = Rule(
    name="uplink_down",
    title=Text("Compound cut off", "小区断网"),
    severity=Severity.CRITICAL,
    condition=Silence(),
    advice=Text("Check the compound's gateway and its provider.", "检查小区网关和运营商线路。"),
    for_s=30,
    clear_s=30,
)
"""The one rule about a compound: nearly all of its devices are away at once, so that it, not they, needs hands."""
