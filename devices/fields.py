"""What a reading is made of: fields with a signal type, a unit and a range.

The signal type fixes a field's arithmetic (docs/design.md §4). Fields are made by the seven functions below, one for
each signal; a field checks its own declaration and raises `DeclarationError` where it makes no sense.
"""

from dataclasses import dataclass
from enum import StrEnum

from devices.errors import DeclarationError
from devices.names import Text, is_name

_BOOLEAN_LABELS = ("false", "true")


class Signal(StrEnum):
    """The arithmetic of a field."""

    GAUGE = "gauge"  # sampled number: sample-and-hold
    STATE = "state"  # sampled label: sample-and-hold
    COUNTER = "counter"  # register that only rises
    CATEGORY = "category"  # label of an event: counted by it
    VALUE = "value"  # number of an event: summed
    IDENTITY = "identity"  # pairs an opening event with its closing one


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a telemetry object or an event.

    Attributes:
        name: its name in payloads, columns and the store.
        signal: its arithmetic.
        title: its name for people.
        unit: SI or field unit; "1" for a plain fraction or count.
        low: smallest value allowed (numbers).
        high: largest value allowed (numbers).
        integer: only whole numbers are allowed.
        labels: every label allowed, in declared order; the codes of columns are indices into it.
        boolean: the payload carries true/false; its labels are "false" and "true".
        required: False where a device may leave it out.
    """

    name: str
    signal: Signal
    title: Text
    unit: str = "1"
    low: float | None = None
    high: float | None = None
    integer: bool = False
    labels: tuple[str, ...] = ()
    boolean: bool = False
    required: bool = True

    def __post_init__(self) -> None:
        """Check the declaration."""
        if not is_name(self.name):
            raise DeclarationError(f"field name {self.name!r}: use lower case letters, digits and underscores")
        if self.name in RESERVED:
            raise DeclarationError(f"field name {self.name!r} is reserved for every payload")
        if self.is_number and (self.low is None or self.high is None or not self.low < self.high):
            raise DeclarationError(f"field {self.name!r}: a number needs a range low < high")
        if self.is_label and len(set(self.labels)) != max(len(self.labels), 1):
            raise DeclarationError(f"field {self.name!r}: labels must be given, each once")

    @property
    def is_number(self) -> bool:
        """Whether its column holds float64 values."""
        return self.signal in {Signal.GAUGE, Signal.COUNTER, Signal.VALUE}

    @property
    def is_label(self) -> bool:
        """Whether its column holds codes into the declared `labels`."""
        return self.signal in {Signal.STATE, Signal.CATEGORY}


RESERVED = frozenset({"ts", "seq", "boot", "event", "time", "compound", "building", "device", "part", "kind"})


def gauge(  # noqa: PLR0913  (a field's declaration is one row)
    name: str, title: Text, unit: str, low: float, high: float, *, integer: bool = False, required: bool = True
) -> Field:
    """Declare a sampled number that holds until its next sample."""
    return Field(
        name=name,
        signal=Signal.GAUGE,
        title=title,
        unit=unit,
        low=low,
        high=high,
        integer=integer,
        required=required,
    )


def counter(name: str, title: Text, unit: str, high: float) -> Field:
    """Declare a register that only rises; a fall is a reset."""
    return Field(name=name, signal=Signal.COUNTER, title=title, unit=unit, low=0.0, high=high)


def state(name: str, title: Text, labels: tuple[str, ...], *, required: bool = True) -> Field:
    """Declare a sampled label that holds until its next sample."""
    return Field(name=name, signal=Signal.STATE, title=title, labels=labels, required=required)


def flag(name: str, title: Text, *, required: bool = True) -> Field:
    """Declare a sampled true/false, which is a state with the labels "false" and "true"."""
    return Field(name=name, signal=Signal.STATE, title=title, labels=_BOOLEAN_LABELS, boolean=True, required=required)


def category(name: str, title: Text, labels: tuple[str, ...], *, required: bool = True) -> Field:
    """Declare a label of an event, by which events are counted."""
    return Field(name=name, signal=Signal.CATEGORY, title=title, labels=labels, required=required)


def value(  # noqa: PLR0913  (a field's declaration is one row)
    name: str, title: Text, unit: str, low: float, high: float, *, required: bool = True
) -> Field:
    """Declare a number of an event, which is summed."""
    return Field(name=name, signal=Signal.VALUE, title=title, unit=unit, low=low, high=high, required=required)


def identity(name: str, title: Text, *, required: bool = True) -> Field:
    """Declare the id that pairs an opening event with its closing one."""
    return Field(name=name, signal=Signal.IDENTITY, title=title, required=required)
