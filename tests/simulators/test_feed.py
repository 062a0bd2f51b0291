"""Messages are released once, in order, none before its time."""

from collections.abc import Mapping

import pytest

from devices.inventory import Inventory
from devices.registry import Registry
from simulators.behaviour import Behaviour
from simulators.encode import Encoder, Message
from simulators.feed import HIGH_WATER, LOW_WATER, Feed
from simulators.options import selected
from simulators.source import Source
from tests.simulators.conftest import HOUR_MS, at

START = at("2025-11-05T08:00")


class Clock:
    """A real time that a test sets."""

    def __init__(self, ms: int) -> None:
        """Begin at `ms`."""
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


class Bench:
    """A street, and feeds on it."""

    def __init__(self, inventory: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> None:
        """Take a small street."""
        self._inventory = selected(inventory, "shuichang", "gate,bin,charger")
        self._parts = registry, behaviours

    def feed(self, clock: Clock, *, stop_ms: int | None, speed: float | None, batch: int = 1) -> Feed:
        numbers = {id_: number for number, id_ in enumerate(self._inventory.devices)}
        encoder = Encoder(numbers, boot=1, batch=batch)
        source = Source(self._inventory, *self._parts, 1)
        return Feed(source, encoder, start_ms=START, stop_ms=stop_ms, speed=speed, clock_ms=clock)

    def all(self, stop_ms: int) -> list[Message]:
        feed = self.feed(Clock(0), stop_ms=stop_ms, speed=None)
        made: list[Message] = []
        while not feed.done:
            made += feed.take(0)
        return made


@pytest.fixture(scope="module")
def bench(inventory: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> Bench:
    return Bench(inventory, registry, behaviours)


def test_history_is_released_as_fast_as_it_is_taken(bench: Bench) -> None:
    messages = bench.all(START + 10 * HOUR_MS)
    assert len(messages) > 1800
    assert all(START <= message.due_ms < START + 10 * HOUR_MS for message in messages)
    assert len({(message.topic, message.payload) for message in messages}) == len(messages)


def test_history_waits_while_too_much_is_unacknowledged(bench: Bench) -> None:
    feed = bench.feed(Clock(0), stop_ms=START + HOUR_MS, speed=None)
    assert list(feed.take(LOW_WATER)) == []
    assert not feed.done
    assert list(feed.take(LOW_WATER - 1))


def test_history_goes_over_into_the_present(bench: Bench) -> None:
    clock = Clock(START + 2 * HOUR_MS)
    feed = bench.feed(clock, stop_ms=None, speed=None, batch=20)
    got: list[Message] = []
    while feed.speed is None:
        got += feed.take(0)
        clock.ms += 100  # history takes time as well
    assert feed.speed == 1
    assert not feed.done
    for _ in range(600):
        got += feed.take(0)
        assert feed.now_ms == clock.ms
        assert abs(feed.ahead_s) < 0.01
        assert got[-1].due_ms <= clock.ms
        clock.ms += 1000
    sizes = [dict(message.counts) for message in got]
    expected = bench.all(clock.ms - 1000)
    counted = sum(sum(each.values()) for each in sizes)
    # What is in an array that is still open is not out yet.
    assert len(expected) - 25 <= counted <= len(expected)
    assert [message.due_ms for message in got] == sorted(message.due_ms for message in got)


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_a_clock_releases_what_is_due(bench: Bench, speed: float) -> None:
    clock = Clock(START + 9 * HOUR_MS)
    stop = START + round(400_000 * speed)
    feed = bench.feed(clock, stop_ms=stop, speed=speed)
    got: list[Message] = []
    for _ in range(500):
        if feed.done:
            break
        released = list(feed.take(0))
        now = feed.now_ms
        assert all(message.due_ms <= now for message in released)
        got += released
        clock.ms += 1000
    assert feed.done
    assert feed.now_ms == stop
    assert [(message.topic, message.payload) for message in got] == [
        (message.topic, message.payload) for message in bench.all(stop)
    ]


def test_a_clock_that_cannot_be_followed_loses_nothing(bench: Bench) -> None:
    clock = Clock(START)
    stop = START + HOUR_MS
    feed = bench.feed(clock, stop_ms=stop, speed=1.0)
    for _ in range(30):
        assert list(feed.take(HIGH_WATER)) == []
        clock.ms += 60_000
    clock.ms += 2 * HOUR_MS
    got: list[Message] = []
    while not feed.done:
        got += feed.take(0)
    assert len(got) == len(bench.all(stop))


def test_an_empty_span_is_done_at_once(bench: Bench) -> None:
    for speed in (None, 1.0):
        feed = bench.feed(Clock(START), stop_ms=START, speed=speed)
        assert list(feed.take(0)) == []
        assert feed.done
