"""Conditions that begin and end, and the alarms that follow."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.engine import Engine
from alarms.standing import Change, Standing, Subject
from devices.alarms import Level
from tests.alarms.made import BEGIN_S, THING, S, at, incidents, knocks, telemetry

HOLD_S = 180


def seconds(change: Change) -> float:
    return (change.at_ns - BEGIN_S * S) / S


def told(changes: Sequence[Change], rule: str | None = None) -> list[tuple[str, str, float]]:
    return [
        (each.subject.rule, str(each.what), seconds(each))
        for each in changes
        if rule is None or each.subject.rule == rule
    ]


def levels(*rows: tuple[float, float | None]) -> list[tuple[float, float | None, None, None]]:
    return [(time, value, None, None) for time, value in rows]


def test_an_alarm_is_raised_when_it_has_lasted_and_cleared_when_it_has_not() -> None:
    engine = Engine(THING, {})
    assert told(engine.feed([telemetry(levels((0, 50), (60, 85), (120, 85)))]), "high") == []
    assert told(engine.tick(at(150)), "high") == []
    assert told(engine.tick(at(161)), "high") == [("high", "raised", 160)]
    assert told(engine.tick(at(400)), "high") == []
    assert told(engine.feed([telemetry(levels((180, 70), (240, 55), (270, 59)))]), "high") == []
    assert told(engine.feed([telemetry(levels((300, 50)))]), "high") == [("high", "cleared", 290)]


def test_between_both_thresholds_it_stays_as_it_is() -> None:
    engine = Engine(THING, {})
    found = engine.feed([telemetry(levels((0, 5), (60, 15), (120, 19), (180, 21), (240, 15), (300, 9)))])
    assert told(found, "low") == [("low", "raised", 0), ("low", "cleared", 180), ("low", "raised", 300)]


def test_a_fraction_of_another_number() -> None:
    engine = Engine(THING, {})
    rows = [(0, 8, 8, None), (60, 8, None, None), (120, 8, 0, None), (180, 3, 8, None)]
    assert told(engine.feed([telemetry(rows)]), "full") == [("full", "raised", 0), ("full", "cleared", 180)]


def test_what_flips_within_one_batch_is_not_missed() -> None:
    engine = Engine(THING, {})
    rows = [(time, None, None, lamp) for time, lamp in ((0, "off"), (1, "on"), (2, "off"), (3, None), (4, "on"))]
    assert told(engine.feed([telemetry(rows)])) == [("lit", "raised", 1), ("lit", "cleared", 2), ("lit", "raised", 4)]


def test_silence_neither_raises_nor_clears() -> None:
    engine = Engine(THING, {})
    assert told(engine.feed([telemetry(levels((0, 50), (60, 85)))]), "high") == []
    found = engine.tick(at(10_000))  # it held for max_hold, which is longer than the rule asks
    assert told(found, "high") == [("high", "raised", 160)]
    assert told(engine.tick(at(100_000)), "high") == []


def test_what_is_late_says_nothing() -> None:
    engine = Engine(THING, {})
    engine.feed([telemetry(levels((600, 15)))])
    assert told(engine.feed([telemetry(levels((0, 5)))])) == []
    assert told(engine.feed([telemetry(levels((600, 5)))])) == []
    assert told(engine.feed([telemetry(levels((601, 5)))])) == [("low", "raised", 601)]
    assert told(engine.feed([telemetry(levels((601, 5)))])) == []


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        (["0 begin a, 40 end a"], ["raised 30", "cleared 40"]),
        (["0 begin a, 20 end a"], []),
        (["0 begin a", "10 begin b", "20 end a", "60 end b"], ["raised 30", "cleared 60"]),
        (["40 end a", "0 begin a"], []),  # the end came first
        (["0 begin a, 50 begin b", "40 end a", "90 end b"], ["raised 30", "cleared 90"]),
        (["0 begin a, 40 end a", "0 begin a", "40 end a"], ["raised 30", "cleared 40"]),
        (["0 begin a, 0 end a"], []),
        (["5 end never"], []),
    ],
)
def test_things_that_begin_and_end(batches: list[str], expected: list[str]) -> None:
    engine = Engine(THING, {})
    found: list[Change] = []
    for text in batches:
        rows = [each.split() for each in text.split(", ")]
        found += engine.feed([incidents([(float(time), phase, key) for time, phase, key in rows])])
    assert [f"{each.what} {seconds(each):g}" for each in found] == expected


def test_something_that_lasts_is_raised_by_time_alone() -> None:
    engine = Engine(THING, {})
    assert engine.feed([incidents([(0, "begin", "a")])]) == []
    assert told(engine.tick(at(31))) == [("lasting", "raised", 30)]
    assert told(engine.tick(at(32))) == []


def test_what_is_worse_stands_for_what_is_less() -> None:
    low = next(each for each in THING.alarms if each.name == "low")
    lower = replace(low, name="lower", condition=Level(field="level", at=20, clear=30), within="low")
    engine = Engine(replace(THING, alarms=(*THING.alarms, lower)), {})

    def feed(time: float, level: float) -> list[tuple[str, str, float]]:
        found = told(engine.feed([telemetry(levels((time, level)))]))
        return [each for each in found if each[0] in {"low", "lower"}]

    assert feed(0, 15) == [("lower", "raised", 0)]
    assert feed(60, 5) == [("low", "raised", 60), ("lower", "cleared", 60)]
    assert feed(120, 25) == [("low", "cleared", 120), ("lower", "raised", 0)]
    assert feed(180, 35) == [("lower", "cleared", 180)]


def test_a_burst_ends_when_its_events_are_too_old() -> None:
    engine = Engine(THING, {})
    assert told(engine.feed([knocks([0, 5])])) == []
    assert told(engine.feed([knocks([9])])) == [("burst", "raised", 9)]
    assert told(engine.tick(at(10) - 1)) == []
    assert told(engine.tick(at(20))) == [("burst", "cleared", 10)]
    assert told(engine.feed([knocks([30, 41, 52])])) == []


def reference(rows: Sequence[tuple[float, float | None]], for_s: float, clear_s: float) -> list[tuple[str, float]]:
    """The alarms of `high`, row by row: a row says high, low, or nothing, and time goes on until the last row."""
    found: list[tuple[str, float]] = []
    holds, turned, is_open = False, 0.0, False
    ticks = [*rows, None]
    for before, row in zip([None, *rows], ticks, strict=True):
        # What holds, holds until the next row, for as long as a row does; the last until itself.
        until = turned if before is None else before[0] if row is None else min(row[0], before[0] + HOLD_S)
        if holds and not is_open and until - turned >= for_s:
            is_open = True
            found.append(("raised", turned + for_s))
        if not holds and is_open and until - turned >= clear_s:
            is_open = False
            found.append(("cleared", turned + clear_s))
        if row is None or row[1] is None:
            continue
        if row[1] >= 80 and not holds:
            holds, turned = True, row[0]
        elif row[1] <= 60 and holds:
            holds, turned = False, row[0]
    return found


_rows = st.lists(
    st.tuples(st.sampled_from([5.0, 30.0, 60.0, 400.0]), st.sampled_from([None, 50.0, 70.0, 90.0])), max_size=12
)


@given(_rows, st.lists(st.integers(0, 12), max_size=4))
def test_the_engine_equals_the_reference_however_rows_are_cut(
    steps: list[tuple[float, float | None]], cuts: list[int]
) -> None:
    time, rows = 0.0, []
    for step, value in steps:
        time += step
        rows.append((time, value))
    engine = Engine(THING, {})
    found: list[Change] = []
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for begin, end in pairwise(bounds):
        found += engine.feed([telemetry(levels(*rows[begin:end]))])
        engine = Engine(THING, {subject: Standing.of(each.kept()) for subject, each in engine.standings.items()})
    assert [(what, at) for _, what, at in told(found, "high")] == reference(rows, 100, 50)


def test_what_is_kept_is_what_it_was() -> None:
    engine = Engine(THING, {})
    engine.feed([telemetry(levels((0, 5), (60, 90))), incidents([(0, "begin", "a")]), knocks([1, 2])])
    for standing in engine.standings.values():
        assert Standing.of(standing.kept()) == standing
    assert Subject("thing", "burst", "jingyuan", "jingyuan-thing-01") in engine.standings
