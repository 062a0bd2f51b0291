"""What is logged about gaps: each device now and then, and never a line for each of very many."""

from dataclasses import dataclass

import numpy as np
import pytest
from structlog.testing import capture_logs

from ingest import gapwatch
from ingest.gaps import Tracker
from ingest.gapwatch import GapWatch
from ingest.sightings import Sightings, Stream, Streams


@dataclass
class Follower:
    """Follows nothing by itself."""

    tracker: Tracker | None
    now_ms: int = 0

    def clock_ms(self) -> int:
        return self.now_ms

    def step(self) -> None:
        pass


def made(devices: int) -> Follower:
    names = [
        Stream("gate", "a", f"gate-{number}", channel) for number in range(devices) for channel in ("event", "status")
    ]
    return Follower(Tracker(Streams(names)))


def see(follower: Follower, stream: int, *numbers: int) -> None:
    assert follower.tracker is not None
    seq = np.array(numbers, np.int64)
    follower.tracker.track(Sightings(follower.now_ms, np.full_like(seq, stream), np.zeros_like(seq), seq))


def lines(watch: GapWatch) -> list[tuple[str, str, int]]:
    with capture_logs() as logs:
        watch.report()
    return [(each["device"], each["channel"], each["missing"]) for each in logs]


def test_a_device_is_told_of_at_most_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = made(2)
    watch = GapWatch(follower, grace_s=10)
    see(follower, 0, 0, 2)
    see(follower, 1, 0, 3)
    follower.now_ms = 9999
    assert lines(watch) == []
    follower.now_ms = 10_000
    assert lines(watch) == [("gate-0", "event", 1), ("gate-0", "status", 2)]
    see(follower, 0, 9)
    see(follower, 2, 0, 2)
    follower.now_ms = 30_000
    assert lines(watch) == [("gate-1", "event", 1)]
    monkeypatch.setattr(gapwatch, "_DEVICE_S", 0.0)
    assert lines(watch) == [("gate-0", "event", 7)]
    assert lines(watch) == []


def test_very_many_devices_are_told_of_in_few_lines() -> None:
    follower = made(5000)
    watch = GapWatch(follower, grace_s=0)
    for number in range(5000):
        see(follower, 2 * number, 0, 2)
    with capture_logs() as logs:
        watch.report()
    assert len(logs) == 21
    assert (logs[-1]["devices"], logs[-1]["missing"]) == (4980, 4980)
    assert watch.missing() == {"gate": 5000}
    with capture_logs() as logs:
        watch.report()
    assert logs == []


def test_another_process_may_follow() -> None:
    follower = made(1)
    watch = GapWatch(follower, grace_s=0)
    see(follower, 0, 0, 2)
    follower.tracker = None
    assert watch.missing() == {}
    assert lines(watch) == []
