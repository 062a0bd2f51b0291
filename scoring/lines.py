"""True figures, as they are compared with served ones."""

from dataclasses import dataclass

from devices.statistics import Statistic

Value = float | None
"""A figure; None where nothing is known."""


@dataclass(frozen=True, slots=True)
class TrueLine:
    """One line of a statistic as it really was.

    Attributes:
        values: a figure for each bucket.
        coverage: how much of each bucket's time was observed, 0 to 1.
    """

    values: list[Value]
    coverage: list[float]


Lines = dict[str | None, TrueLine]
"""The lines of a statistic by label, in the order in which they are served."""


def field_of(statistic: Statistic) -> str:
    """The field that a statistic reads."""
    assert statistic.field is not None  # noqa: S101  (for the type checker: such reducers need one)
    return statistic.field
