"""Levels that will soon be too high, by how fast they have risen."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.trends import Trend
from devices.alarms import Filling
from devices.errors import DeclarationError
from devices.registry import discover

S = 1_000_000_000
HOLD = 1800 * S
SOON = Filling(field="fill", at=1.0, within_s=7200, over_s=21_600)
EVERY_S = 600


def said(levels: list[float], begin: int = 0, trend: Trend | None = None) -> list[int]:
    time = (begin + np.arange(len(levels))) * EVERY_S * S
    found = (trend or Trend(HOLD)).verdicts(SOON, time, np.array(levels))
    return [int(each) for each in found]


def test_nothing_is_said_before_there_is_a_rate() -> None:
    assert said([0.5, 0.55, 0.6, 0.65, 0.7, 0.75]) == [0] * 6
    assert said([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8])[-1] == 1  # of an hour: 0.3 an hour, 40 minutes left


def test_what_is_too_high_already_holds_at_once() -> None:
    assert said([1.0]) == [1]


def test_a_slow_rise_and_a_standstill_end_it() -> None:
    slow = [0.5 + 0.001 * n for n in range(20)]
    assert said(slow)[-1] == -1
    assert said([0.5] * 20)[-1] == -1


def test_between_both_nothing_is_said() -> None:
    # 0.1 an hour, 0.3 left: three hours, between two and four.
    levels = [0.7 - 0.1 / 6 * n for n in range(10)][::-1]
    assert said(levels)[-1] == 0


def test_emptying_counts_for_nothing_and_begins_anew() -> None:
    rise = [0.4 + 0.03 * n for n in range(12)]
    found = said([*rise, 0.0])
    assert found[-2] == 1
    assert found[-1] == -1  # as fast as before, and more than twice as much to go


def test_a_gap_is_no_rise() -> None:
    trend = Trend(HOLD)
    said([0.2] * 10, trend=trend)
    found = trend.verdicts(SOON, np.array([10 * EVERY_S * S + 2 * HOLD]), np.array([0.9]))
    assert found.tolist() == [-1]


def test_the_rate_is_that_of_the_last_hours() -> None:
    fast, still = [0.05 * n for n in range(12)], [0.55] * 40
    assert said([*fast, *still])[-1] == -1


@given(
    st.lists(st.floats(0, 1, allow_nan=False) | st.just(float("nan")), min_size=1, max_size=60),
    st.lists(st.integers(1, 59), max_size=5),
)
def test_in_pieces_it_says_the_same_as_at_once(levels: list[float], cuts: list[int]) -> None:
    def pieces(trend: Trend) -> Iterator[int]:
        edges = [0, *sorted(each for each in set(cuts) if each < len(levels)), len(levels)]
        for begin, end in pairwise(edges):
            yield from said(levels[begin:end], begin, trend)
            trend = Trend(HOLD, trend.samples)  # as after a restart

    assert list(pieces(Trend(HOLD))) == said(levels)


@given(st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=80))
def test_it_says_what_a_slow_look_at_all_of_it_says(levels: list[float]) -> None:
    for place, verdict in enumerate(said(levels)):
        first = max(0, place - round(SOON.over_s / EVERY_S))
        steps = list(zip(levels[first:place], levels[first + 1 : place + 1], strict=True))
        risen, seconds = sum(max(after - before, 0.0) for before, after in steps), EVERY_S * len(steps)
        takes = (SOON.at - levels[place]) * seconds / risen if risen > 0 else float("inf")
        if any(abs(takes - each) < 1e-3 for each in (SOON.within_s, 2 * SOON.within_s)):
            continue  # rounding decides
        expected = 0
        if levels[place] >= SOON.at or (seconds >= 3600 and takes <= SOON.within_s):
            expected = 1
        elif seconds >= 3600 and takes > 2 * SOON.within_s:
            expected = -1
        assert verdict == expected, (place, takes)


def test_a_late_sample_says_nothing() -> None:
    trend = Trend(HOLD)
    said([0.5] * 10, trend=trend)
    assert said([0.9, 0.9], begin=3, trend=trend) == [0, 0]


@pytest.mark.parametrize("field", ["at", "within_s", "over_s"])
def test_a_wrong_declaration_is_refused(field: str) -> None:
    kind = discover()["bin"]
    rule = next(each for each in kind.rules if each.name == "overflow_soon")
    values: dict[str, Any] = {field: float("nan") if field == "at" else 0.0}
    wrong = replace(rule, condition=replace(rule.condition, **values))
    with pytest.raises(DeclarationError, match="overflow_soon"):
        replace(kind, alarms=tuple(wrong if each.name == rule.name else each for each in kind.alarms))
