"""Gaps: the tracker says what a slow and obvious reference says, whatever comes in whatever order."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import known
from ingest.eras import Holes
from ingest.errors import SpoolError
from ingest.gaps import Range, Tracker
from ingest.known import State
from ingest.sightings import Sightings, Stream, Streams, pack, unpack

FOREVER = 2**62
NAMES = [Stream("gate", "a", f"gate-{number}", "telemetry") for number in range(3)]
Seen = tuple[int, int, int, bool]
"""Stream, boot, number, whether it counts."""


def sightings(seen: Sequence[Seen], received_ms: int = 0, refused: Sequence[int] = ()) -> Sightings:
    stream, boot, seq, counts = (np.array([each[part] for each in seen], np.int64) for part in range(4))
    return Sightings(received_ms, stream, boot, seq, None if all(counts) else counts.astype(bool), refused)


@dataclass
class Boot:
    """One boot as sets."""

    begin: int | None
    seen: set[int] = field(default_factory=set)

    def missing(self) -> set[int]:
        if not self.seen:
            return set()
        begin = min(self.seen) if self.begin is None else self.begin
        return set(range(begin, max(self.seen))) - self.seen


class Reference:
    """What the tracker is to say, of one stream, with every number in a set."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self.boots: dict[int, Boot] = {}
        self.gone: dict[int, int] = {}
        self.changes = 0

    def track(self, seen: Sequence[Seen]) -> int:
        """How many that count had been seen before."""
        repeated = 0
        for boot in dict.fromkeys(each[1] for each in seen):
            if boot in self.gone:
                continue
            if boot not in self.boots:
                self._begin(boot)
            known = self.boots[boot].seen
            for number in {each[2] for each in seen if each[1] == boot}:
                copies = sum(each[3] for each in seen if each[1:3] == (boot, number))
                repeated += copies if number in known else max(0, copies - 1)
                known.add(number)
        return repeated

    def missing(self) -> int:
        return sum(self.gone.values()) + sum(len(each.missing()) for each in self.boots.values())

    def ranges(self) -> set[tuple[int, int]]:
        return {(boot, number) for boot, each in self.boots.items() for number in each.missing()}

    def _begin(self, boot: int) -> None:
        first = not self.boots or (not self.changes and boot < next(iter(self.boots)))
        self.changes += bool(self.boots)
        if len(self.boots) == 2:
            oldest = next(iter(self.boots))
            self.gone[oldest] = len(self.boots.pop(oldest).missing())
        self.boots[boot] = Boot(None if first else 0)


def shown(tracker: Tracker, until_ms: int = FOREVER) -> dict[str, tuple[int, set[tuple[int, int]]]]:
    return {
        gap.stream.device: (
            gap.missing,
            {(boot, n) for boot, first, last in gap.ranges for n in range(first, last + 1)},
        )
        for gap in tracker.worst(until_ms, 100)
    }


SEEN = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 25), st.booleans() | st.just(value=True))


@settings(deadline=None, max_examples=400)
@given(calls=st.lists(st.lists(SEEN, max_size=30), max_size=8))
def test_it_is_what_the_reference_says(calls: list[list[Seen]]) -> None:
    tracker = Tracker(Streams(NAMES))
    references = [Reference() for _ in NAMES]
    for call in calls:
        repeated = tracker.track(sightings(call))
        expected = sum(
            reference.track([each for each in call if each[0] == number]) for number, reference in enumerate(references)
        )
        assert repeated.total() == expected
        assert shown(tracker) == {
            name.device: (reference.missing(), reference.ranges())
            for name, reference in zip(NAMES, references, strict=True)
            if reference.missing()
        }
    assert tracker.missing(FOREVER).total() == sum(each.missing() for each in references)


@settings(deadline=None, max_examples=150)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=3, max_size=3),
    lost=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 59))),
    late=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 59))),
    seed=st.integers(0, 2**16),
    cuts=st.lists(st.integers(0, 180), max_size=6),
)
def test_loss_disorder_and_repetition(
    lengths: list[int], lost: set[tuple[int, int]], late: set[tuple[int, int]], seed: int, cuts: list[int]
) -> None:
    """Whatever the order and the cuts: what never came is missing, what came twice is a repetition."""
    random = Random(seed)  # noqa: S311  (the same order each time)
    came = [
        (stream, 7, number, True)
        for stream, length in enumerate(lengths)
        for number in range(100, 100 + length)
        if (stream, number - 100) not in lost
    ]
    twice = [each for each in came if (each[0], each[2] - 100) in late]
    messages = came + twice
    random.shuffle(messages)
    tracker = Tracker(Streams(NAMES))
    repeated = 0
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(messages)], strict=True):
        repeated += tracker.track(sightings(messages[begin:end])).total()
    assert repeated == len(twice)
    for stream, name in enumerate(NAMES):
        numbers = {each[2] for each in came if each[0] == stream}
        expected = set(range(min(numbers), max(numbers))) - numbers if numbers else set()
        assert shown(tracker).get(name.device, (0, set())) == (len(expected), {(7, each) for each in expected})


@settings(deadline=None, max_examples=150)
@given(
    calls=st.lists(st.lists(SEEN, max_size=20), max_size=8),
    refused=st.lists(st.integers(0, 2), max_size=4),
    cut=st.integers(0, 8),
)
def test_it_goes_on_from_what_was_kept(calls: list[list[Seen]], refused: list[int], cut: int) -> None:
    """A tracker made of the states of another does what that one would have done."""
    streams = Streams(NAMES)
    whole, kept = Tracker(streams), dict[int, State]()
    part = Tracker(streams)
    for place, call in enumerate(calls):
        if place == cut:
            part = Tracker(streams, kept.values())
        seen = sightings(call, place, refused)
        assert whole.track(seen) == part.track(unpack(pack(seen)))
        kept |= {each.number: each for each in part.states()}
        part.kept()
    again = Tracker(streams, kept.values())
    for now in range(len(calls) + 1):
        assert again.worst(now, 9) == whole.worst(now, 9)
    for name in NAMES:
        assert again.of_device(name.device, FOREVER) == whole.of_device(name.device, FOREVER)


@settings(deadline=None)
@given(
    seen=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2**40]), st.integers(0, 6) | st.just(2**52), st.booleans())
    ),
    refused=st.lists(st.integers(0, 9)),
)
def test_sightings_survive_as_bytes(seen: list[Seen], refused: list[int]) -> None:
    before = sightings(seen, 17, refused)
    after = unpack(pack(before))
    assert (after.received_ms, list(after.refused)) == (17, refused)
    for name in ("stream", "boot", "seq"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist()
    assert (after.counts is None) == (before.counts is None)
    if before.counts is not None and after.counts is not None:
        assert after.counts.tolist() == before.counts.tolist()


@pytest.mark.parametrize("content", [b"", b"CYS1", b"x" * 100, pack(sightings([(0, 0, 0, True)] * 9))[:-1]])
def test_damaged_sightings_are_an_error(content: bytes) -> None:
    with pytest.raises(SpoolError):
        unpack(content)


def test_a_message_of_many_readings_takes_few_bytes() -> None:
    run = sightings([(0, 7, number, True) for number in range(50)])
    assert len(pack(run)) < 50


def one(tracker: Tracker, *numbers: int, boot: int = 1, now_ms: int = 0) -> int:
    return tracker.track(sightings([(0, boot, number, True) for number in numbers], now_ms)).total()


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(Streams(NAMES))


def test_a_device_older_than_ingest_misses_nothing(tracker: Tracker) -> None:
    one(tracker, 5000)
    one(tracker, 5001)
    assert tracker.missing(FOREVER) == {}


def test_a_new_boot_begins_with_zero(tracker: Tracker) -> None:
    one(tracker, 5000, boot=1)
    one(tracker, 3, boot=2)
    (gap,) = tracker.worst(FOREVER, 9)
    assert (gap.boot, gap.boots, gap.high, gap.missing, gap.ranges) == (2, 1, 3, 3, (Range(2, 0, 2),))
    assert one(tracker, 1, 0, boot=2) == 0
    assert tracker.missing(FOREVER) == {"gate": 1}


def test_stragglers_of_the_boot_before_fill_its_holes(tracker: Tracker) -> None:
    one(tracker, 10, 14, boot=1)
    one(tracker, 0, 1, boot=2)
    assert one(tracker, 12, boot=1) == 0
    assert one(tracker, 12, 14, boot=1) == 2
    one(tracker, 2, boot=2)
    assert [gap.ranges for gap in tracker.worst(FOREVER, 9)] == [(Range(1, 11, 11), Range(1, 13, 13))]


def test_what_a_boot_further_back_missed_is_lost(tracker: Tracker) -> None:
    one(tracker, 10, 14, boot=1)
    for boot in (2, 3):
        one(tracker, 0, boot=boot)
    assert one(tracker, 11, boot=1) == 0
    (gap,) = tracker.worst(FOREVER, 9)
    assert (gap.missing, gap.lost, gap.ranges, gap.boots) == (3, 3, (), 2)


def test_boots_further_back_are_known_again(tracker: Tracker) -> None:
    for boot in range(1, 9):
        one(tracker, 0, boot=boot)
    for boot in range(1, 9):
        one(tracker, 1000, boot=boot)
    (gap,) = tracker.worst(FOREVER, 9)
    assert gap.boots == 7
    assert gap.ranges == (Range(8, 1, 999), Range(7, 1, 999))


def test_a_gap_is_told_when_it_is_known_long_enough(tracker: Tracker) -> None:
    one(tracker, 0, 3, now_ms=1000)
    assert tracker.missing(999) == {}
    assert tracker.worst(999, 9) == []
    assert tracker.ripened(999) == []
    one(tracker, 5, now_ms=2000)
    assert tracker.missing(1000) == {"gate": 2}
    assert [gap.missing for gap in tracker.ripened(1000)] == [2]
    assert tracker.ripened(1999) == []
    assert [gap.missing for gap in tracker.ripened(2000)] == [3]
    assert tracker.ripened(FOREVER) == []


def test_a_gap_that_closes_in_time_is_never_told(tracker: Tracker) -> None:
    one(tracker, 0, 3, now_ms=1000)
    one(tracker, 2, 1, now_ms=1500)
    assert tracker.ripened(FOREVER) == []
    assert tracker.missing(FOREVER) == {}


def test_devices_that_lose_something_again_and_again_are_told_of(tracker: Tracker) -> None:
    """New holes all the time do not put off the report of those that are known long enough."""
    for now in range(10):
        one(tracker, 2 * now, now_ms=now)
    assert [gap.missing for gap in tracker.ripened(4)] == [4]


def test_holes_are_bounded(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_HOLES", 8)
    one(tracker, *range(0, 100, 2))
    (gap,) = tracker.worst(FOREVER, 9)
    assert (gap.missing, gap.lost, len(gap.ranges)) == (49, 41, 8)
    assert one(tracker, 1) == 1
    assert one(tracker, 97) == 0
    assert tracker.missing(FOREVER) == {"gate": 48}


def test_holes_of_all_streams_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "ALL_HOLES", 1000)
    names = [Stream("gate", "a", f"gate-{number}", "event") for number in range(300)]
    tracker = Tracker(Streams(names))
    for number in range(0, 60, 2):
        tracker.track(sightings([(stream, 0, number, True) for stream in range(300)]))
    assert tracker.missing(FOREVER) == {"gate": 300 * 29}
    assert sum(len(gap.ranges) for gap in tracker.worst(FOREVER, 1000)) <= 300 * known.FEW_HOLES
    states = tracker.states()
    assert Tracker(Streams(names), states).worst(FOREVER, 1000) == tracker.worst(FOREVER, 1000)


def test_wild_numbers_do_no_harm(tracker: Tracker) -> None:
    """A device may send anything below 2⁵³ as seq and boot; what is kept of it fits into a file's integers."""
    random = Random(1)  # noqa: S311  (the same numbers each time)
    for _ in range(3000):
        one(tracker, random.choice([0, 2**53 - 1, random.randrange(2**53)]), boot=random.randrange(2**53))
    (state,) = tracker.states()
    assert all(-(2**63) <= each < 2**63 for each in state[:7])
    assert state.more is not None
    assert len(state.more) < 1000
    (gap,) = Tracker(Streams(NAMES), [state]).worst(FOREVER, 1)
    assert gap == tracker.worst(FOREVER, 1)[0]


def test_refused_messages_are_counted_by_stream(tracker: Tracker) -> None:
    tracker.track(sightings([], refused=[1, 1]))
    assert [(gap.refused, gap.missing) for gap in tracker.of_device("gate-1", FOREVER)] == [(2, 0)]
    assert tracker.worst(FOREVER, 9) == []
    assert tracker.of_device("gate-0", FOREVER) == []


def test_streams_that_go_on_cost_little() -> None:
    """Per reading, at one and at 50 readings a message; the bounds are wide, for machines differ and are busy."""
    for devices, objects, most_us in ((100_000, 1, 3.0), (1000, 50, 1.5)):
        streams = Streams([Stream("gate", "a", f"gate-{number}", "telemetry") for number in range(devices)])
        tracker = Tracker(streams)
        everyone = np.arange(devices)
        zero = np.zeros(devices, np.int64)
        tracker.track(Sightings(0, everyone, zero, zero))
        rounds = [np.random.default_rng(1).permutation(everyone) for _ in range(3)]
        spent = 0.0
        for number, order in enumerate(rounds):
            stream = np.repeat(order, objects)
            seq = np.tile(np.arange(objects), devices) + 1 + number * objects
            parts = [slice(begin, begin + 10_000) for begin in range(0, len(stream), 10_000)]
            began = time.process_time()
            for part in parts:
                tracker.track(Sightings(0, stream[part], np.zeros(len(seq[part]), np.int64), seq[part]))
            spent += time.process_time() - began
        assert tracker.missing(FOREVER) == Counter()
        assert spent / (3 * devices * objects) < most_us / 1e6


def test_a_straggler_of_a_boot_long_gone_changes_nothing() -> None:
    tracker = Tracker(Streams(NAMES))
    for boot in range(1, 20):
        tracker.track(sightings([(0, boot, seq, True) for seq in range(10)]))
    assert tracker.track(sightings([(0, 1, 9, True)])) == Counter()
    assert tracker.missing(FOREVER) == Counter()
    (state,) = tracker.states()
    assert state.boot == 19


def test_a_device_of_another_kind_is_another_stream() -> None:
    streams = Streams(NAMES)
    again = streams.number(NAMES[0]._replace(kind="camera"))
    assert (again, streams.names[again].kind, streams.number(NAMES[0])) == (3, "camera", 0)


@pytest.mark.parametrize("many", [1, 2, 5, 9])
def test_the_lowest_holes_are_forgotten_together(many: int) -> None:
    sizes = [1, 4, 2, 9, 3]
    holes = Holes((100 * place, 100 * place + size - 1, place) for place, size in enumerate(sizes))
    assert holes.forget(many) == sum(sizes[:many])
    assert [hole.size for hole in holes] == sizes[many:]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 12), st.booleans()), max_size=40),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 12), st.booleans()), max_size=20),
)
def test_a_copy_knows_the_same_and_goes_its_own_way(before: list[Seen], after: list[Seen]) -> None:
    first, same = Tracker(Streams(NAMES)), Tracker(Streams(NAMES))
    for each in (first, same):
        each.track(sightings(sorted(before, key=lambda seen: seen[0]), 5, refused=[1]))
    copied = first.copy()
    assert told(copied) == told(same)
    again = copied.track(sightings(sorted(after, key=lambda seen: seen[0]), 7, refused=[2]))
    assert told(first) == told(same)
    assert again == same.track(sightings(sorted(after, key=lambda seen: seen[0]), 7, refused=[2]))
    assert told(copied) == told(same)
    assert copied.ripened(FOREVER) == same.ripened(FOREVER)


def told(tracker: Tracker) -> object:
    return [tracker.of_device(each.device, FOREVER) for each in NAMES], tracker.missing(FOREVER), tracker.states()
