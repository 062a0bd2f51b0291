"""How a served statistic is declared: one row that names its source, its reducer and its unit.

A kind lists its statistics as rows of this class; `aggregate/` knows how to compute each reducer. The rows say what is
computed, never how.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from devices.errors import DeclarationError
from devices.names import Text, is_name


class Group(StrEnum):
    """Under which address of the API a statistic is served."""

    OCCUPANCY = "occupancy"
    USAGE = "usage"
    AVAILABILITY = "availability"


class Reducer(StrEnum):
    """How rows become one figure per bucket. `n` is the number of series, `b` the bucket."""

    LEVEL = "level"  # time-weighted mean of a gauge over the observed time of b
    IN_STATE = "in_state"  # mean number of series in `labels`: seconds in them / observed seconds, summed over series
    SECONDS = "seconds"  # seconds in `labels`, summed over series
    ENTRIES = "entries"  # number of entries into `labels`, summed over series
    INCREASE = "increase"  # increase of a counter within b, summed over series
    COUNT = "count"  # number of events within b
    TOTAL = "total"  # sum of an event's value within b
    BALANCE = "balance"  # `base` plus events matching `where`, minus those matching `minus`, from the anchor to b's end
    BOUND = "bound"  # the least (`bound` -1) or the most (1) that the operand, a balance, may have been at b's end
    MEAN_DURATION = "mean_duration"  # mean seconds between the events of a pair closed within b
    QUANTILE = "quantile"  # quantile of the seconds between the events of a pair closed within b
    RATIO = "ratio"  # first operand / second operand
    DIFFERENCE = "difference"  # first operand - the others
    PEAK = "peak"  # most events of the operand, a count, within one hour of the clock in b
    PEAK_HOUR = "peak_hour"  # the hour of the local day at which that was
    RISE = "rise"  # rise of a level per hour in which it was followed; falls count for nothing
    ABOVE = "above"  # seconds at `threshold` or above, summed over series
    TIME_TO_FULL = "time_to_full"  # seconds from b's end until the first series reaches `threshold`; its `bound`s
    ONLINE = "online"  # seconds online / seconds online or offline
    OFFLINE_SECONDS = "offline_seconds"  # seconds known to be offline, summed over devices
    OUTAGES = "outages"  # entries into offline, summed over devices
    REPAIR_TIME = "repair_time"  # mean seconds of the outages that ended within b
    UPTIME = "uptime"  # share of known time in which a part was neither in `labels` nor its device offline


class Across(StrEnum):
    """How the series of a compound make one figure."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """One served statistic of a kind.

    Attributes:
        name: its name in answers.
        title: its name for people.
        group: under which address it is served.
        unit: unit of its values.
        reducer: how rows become a figure.
        definition: one sentence that says what the figure means.
        table: the table it reads.
        field: the field it reads, or None (counts, pairs, ratios).
        labels: the states it is about (states).
        where: for events, the labels that each named category must have; several labels mean any of them.
        minus: the same, for what a balance subtracts.
        base: the attribute of the compound that a balance begins with at each anchor, for example "residents".
        anchor_hour: the hour of the compound's day at which a balance begins anew.
        across: how the series of a compound combine (levels).
        by: a category field, or "part", by whose values the figure is broken down; None for one figure.
        pair: the pair it reads (durations).
        quantile: which quantile, in (0, 1).
        operands: the statistics that it is made of, declared before it: what a ratio divides, a difference subtracts, a
            bound or a peak is about.
        bound: of a band, -1 for the lower end, 1 for the upper, 0 for the figure itself.
        threshold: from which level on (levels).
    """

    name: str
    title: Text
    group: Group
    unit: str
    reducer: Reducer
    definition: str
    table: str = "telemetry"
    field: str | None = None
    labels: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    minus: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    base: str | None = None
    anchor_hour: int = 4
    across: Across = Across.SUM
    by: str | None = None
    pair: str | None = None
    quantile: float | None = None
    operands: tuple[str, ...] = ()
    bound: int = 0
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the kind."""
        if not is_name(self.name):
            raise DeclarationError(f"statistic name {self.name!r}: use lower case letters, digits and underscores")
        needs = _NEEDS.get(self.reducer, ())
        missing = [name for name in needs if not getattr(self, name)]
        if missing:
            raise DeclarationError(f"statistic {self.name!r}: {self.reducer} needs {', '.join(missing)}")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise DeclarationError(f"statistic {self.name!r}: quantile must lie between 0 and 1")
        if self.reducer is Reducer.RATIO and len(self.operands) != 2:
            raise DeclarationError(f"statistic {self.name!r}: a ratio divides two statistics")
        if self.bound not in {-1, 0, 1}:
            raise DeclarationError(f"statistic {self.name!r}: bound must be -1, 0 or 1")


_NEEDS: Mapping[Reducer, tuple[str, ...]] = MappingProxyType(
    {
        Reducer.LEVEL: ("field",),
        Reducer.IN_STATE: ("field", "labels"),
        Reducer.SECONDS: ("field", "labels"),
        Reducer.ENTRIES: ("field", "labels"),
        Reducer.INCREASE: ("field",),
        Reducer.TOTAL: ("field",),
        Reducer.BALANCE: ("where", "minus", "base"),
        Reducer.MEAN_DURATION: ("pair",),
        Reducer.QUANTILE: ("pair", "quantile"),
        Reducer.RATIO: ("operands",),
        Reducer.DIFFERENCE: ("operands",),
        Reducer.BOUND: ("operands", "where", "bound"),
        Reducer.PEAK: ("operands",),
        Reducer.PEAK_HOUR: ("operands",),
        Reducer.RISE: ("field",),
        Reducer.ABOVE: ("field", "threshold"),
        Reducer.TIME_TO_FULL: ("field", "threshold"),
        Reducer.UPTIME: ("field", "labels"),
    }
)
