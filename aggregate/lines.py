"""What comes out: one line per statistic, or one per label that it is broken down by."""

from dataclasses import dataclass

from devices.columns import Floats
from devices.statistics import Statistic

UNSPECIFIED = "unspecified"
"""The label of events that lack the category by which they are broken down."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One figure per bucket.

    Attributes:
        label: the label or part that it is about; None where the statistic is not broken down.
        values: float64[m], in the statistic's unit; NaN where it is unknown or undefined.
        coverage: float64[m], 0 to 1: the fraction of its time in which it was observed.
    """

    label: str | None
    values: Floats
    coverage: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A statistic, evaluated.

    Attributes:
        statistic: which one.
        lines: one, or one per label or part in declared order.
    """

    statistic: Statistic
    lines: tuple[Line, ...]
