"""Alarms as they are asked for and told."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from devices.alarms import Severity

SEVERITIES = tuple(Severity)
"""The worst first."""


class Open(StrEnum):
    """Which alarms are asked for."""

    OPEN = "open"
    CLEARED = "cleared"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        id: its number.
        kind: name of the kind; "" where it is about a whole compound.
        rule: name of the rule.
        severity: how bad it is.
        compound: id.
        device: id; "" where it is about the compound.
        part: part of the device; "" where it is about all of it.
        value: what was read as the condition began.
        since_ns: since when the condition held, by the device's time.
        raised_ns: when it was raised.
        cleared_ns: when it was cleared; None while it is open.
        acknowledged_ns: when somebody took it on; None where nobody has.
        acknowledged_by: who.
        note: what they wrote.
        snoozed_until_ns: until then nobody is told of it; None where nobody has snoozed it.
        snoozed_by: who has.
    """

    id: int
    kind: str
    rule: str
    severity: Severity
    compound: str
    device: str
    part: str
    value: str
    since_ns: int
    raised_ns: int
    cleared_ns: int | None
    acknowledged_ns: int | None
    acknowledged_by: str | None
    note: str | None
    snoozed_until_ns: int | None
    snoozed_by: str | None

    @property
    def is_taken(self) -> bool:
        """Whether nobody need be told of it any more: it is cleared, or somebody has it."""
        return self.cleared_ns is not None or self.acknowledged_ns is not None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """The alarm of a row of the records."""
        return cls(
            **{name: row[name] for name in cls.__dataclass_fields__ if name != "severity"},
            severity=Severity(row["severity"]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which alarms are asked for; None matches all.

    Attributes:
        state: open, cleared, or all.
        compound: id of a compound.
        compounds: ids of the compounds that may be seen.
        device: id of a device.
        kinds: names of kinds; none means all.
        rules: names of rules; none means all.
        severities: none means all.
        acknowledged: whether somebody has taken it on.
        start_ns: raised at or after this.
        stop_ns: raised before this.
    """

    state: Open = Open.OPEN
    compound: str | None = None
    compounds: tuple[str, ...] | None = None
    device: str | None = None
    kinds: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    acknowledged: bool | None = None
    start_ns: int | None = None
    stop_ns: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many alarms of one rule there were, of all devices or of one.

    Attributes:
        kind: name of the kind; "" where they are about whole compounds.
        rule: name of the rule.
        severity: how bad.
        compound: id; "" where it stands for all.
        device: id; "" where it stands for all, or where they are about whole compounds.
        number: how many were raised.
        seconds: how long they lasted together, up to now where they are open.
    """

    kind: str
    rule: str
    severity: Severity
    compound: str
    device: str
    number: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """How alarms fared.

    Attributes:
        raised: how many were raised.
        open: how many of them are open.
        mean_acknowledge_s: from raising to acknowledging, of those that were; None where none was.
        mean_clear_s: from raising to clearing, of those that were; None where none was.
    """

    raised: int
    open: int
    mean_acknowledge_s: float | None
    mean_clear_s: float | None
