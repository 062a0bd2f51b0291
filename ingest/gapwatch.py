"""Says what is missing: to whoever asks, and in the log once it is known long enough not to be a matter of order."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import structlog

from ingest.gaps import Gap, Missing, Tracker
from ingest.sightings import Stream

log = structlog.get_logger("courtyard.ingest")

_LINES = 20
_DEVICE_S = 30.0
_RANGES = 5
_REST = 20


class Follower(Protocol):
    """Follows the streams: of a process that works alone `ingest.lookahead`, of workers `ingest.gather`."""

    @property
    def tracker(self) -> Tracker | None:
        """Knows what is missing; None while another process follows the streams."""

    def clock_ms(self) -> int:
        """Up to which arrivals it knows everything, ms since the epoch."""

    def step(self) -> None:
        """Go on; raises SpoolError."""


class GapWatch:
    """Looks at what a tracker knows."""

    def __init__(self, follower: Follower, *, grace_s: float) -> None:
        """Prepare to look.

        Args:
            follower: follows the streams.
            grace_s: what is missing may still come so long after what came instead of it, in seconds.
        """
        self._follower = follower
        self._grace_ms = round(grace_s * 1000)
        self._waiting: dict[Stream, Missing] = {}
        self._told: dict[str, float] = {}
        self._missing: Counter[str] = Counter()
        self._good_until = 0.0

    def missing(self) -> Counter[str]:
        """By kind, how many readings are missing; empty while another process follows the streams."""
        tracker = self._follower.tracker
        if tracker is None:
            return Counter()
        began = time.monotonic()
        if began >= self._good_until:
            self._missing = tracker.missing(self._until_ms())
            ended = time.monotonic()
            # Where very many miss something it takes a while, and whoever tracks waits for it.
            self._good_until = ended + _REST * (ended - began)
        return self._missing

    def report(self) -> None:
        """Log which devices miss readings, each at most once in a while."""
        tracker = self._follower.tracker
        if tracker is None:
            self._waiting.clear()
            return
        until_ms = self._until_ms()
        self._waiting |= {each.stream: each for each in tracker.ripened(until_ms)}
        if not self._waiting:
            return
        now = time.monotonic()
        self._told = {device: at for device, at in self._told.items() if now - at < _DEVICE_S}
        due = [each for each in self._waiting.values() if each.stream.device not in self._told]
        for each in due:
            del self._waiting[each.stream]
            self._told[each.stream.device] = now
        _tell(tracker.gap(each.stream, until_ms) for each in due[:_LINES])
        if rest := due[_LINES:]:
            log.warning(
                "readings of many more devices are missing; see python -m courtyard ledger",
                devices=len({each.stream.device for each in rest}),
                missing=sum(each.missing for each in rest),
            )

    def _until_ms(self) -> int:
        return self._follower.clock_ms() - self._grace_ms


def _tell(gaps: Iterable[Gap]) -> None:
    for gap in gaps:
        log.warning(
            "readings of a device are missing",
            **gap.stream._asdict(),
            missing=gap.missing,
            boot=gap.boot,
            seq=[f"{each.first}-{each.last}" for each in gap.ranges if each.boot == gap.boot][-_RANGES:],
            messages_refused=gap.refused,
        )
