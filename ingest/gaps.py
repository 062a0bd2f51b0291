"""Gaps: which sequence numbers of which streams are missing. Pure: no I/O, no clock.

What was not seen although later numbers were is missing, until it comes. Streams that go on where they were cost a few
array operations for all of them together; only those with something else to say (a first sight, another boot, a hole, a
repetition) are looked at one by one.

- First sight: a device may be older than ingest, so its first boot begins with the lowest number that came.
- Another boot begins with 0, so what lies below its first number is missing. What the boot before it had above its last
  number cannot be known. Only a boot lower than the very first is taken for a straggler from before our time.
- Two boots are followed. What comes of boots further back is taken as new, and changes nothing.
- Holes are bounded (`ingest.known`): what lies in the lowest ones beyond that is missing for good, and what comes of it
  yet is taken for a repetition.
"""

import heapq
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ingest.eras import Era
from ingest.known import NONE, Known, State
from ingest.sightings import Bools, Ints, Sightings, Stream, Streams


class Range(NamedTuple):
    """Missing numbers of one boot, from `first` to `last`."""

    boot: int
    first: int
    last: int


class Missing(NamedTuple):
    """How many readings of a stream are missing."""

    stream: Stream
    missing: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """What is missing of one stream.

    Attributes:
        stream: which.
        boot: its present boot.
        high: the highest number of it that was seen.
        boots: how often its boot has changed.
        missing: how many numbers are missing, of all boots.
        lost: how many of them can no longer come.
        refused: how many of its messages were refused: the readings in them are among the missing.
        ranges: which are missing, but for those that are lost.
    """

    stream: Stream
    boot: int
    high: int
    boots: int
    missing: int
    lost: int
    refused: int
    ranges: tuple[Range, ...]


class Tracker:
    """Follows all streams. Any thread may ask while one tracks."""

    def __init__(self, streams: Streams, states: Iterable[State] = ()) -> None:
        """Go on from what was kept.

        Args:
            streams: gives numbers their streams; it may grow meanwhile.
            states: what is known of some of them.
        """
        self._streams = streams
        self._lock = threading.RLock()
        self._known = Known(states)
        self._young: dict[int, int] = {}

    def track(self, seen: Sightings) -> Counter[str]:
        """Note what came.

        Args:
            seen: numbers; those of one stream in the order received.

        Returns:
            By kind, how many of those that count had been seen before.
        """
        with self._lock:
            known = self._known
            known.grow(len(self._streams))
            for number in seen.refused:
                known.refused[number] += 1
                known.changed[number] = True
            return self._track(seen) if len(seen) else Counter()

    def copy(self) -> "Tracker":
        """Another one that knows the same, and then goes its own way."""
        with self._lock:
            made = Tracker(self._streams)
            made._known = self._known.copy()
            made._young = dict(self._young)
        return made

    def changed(self) -> int:
        """How many streams have changed since `kept`."""
        return int(np.count_nonzero(self._known.changed))

    def states(self) -> list[State]:
        """What is known of the streams that have changed since `kept`."""
        with self._lock:
            return self._known.states()

    def kept(self) -> None:
        """Take all changes so far as kept."""
        with self._lock:
            self._known.changed[:] = False

    def missing(self, until_ms: int) -> Counter[str]:
        """By kind, how many numbers are missing and known to be so since `until_ms` or before."""
        found: Counter[str] = Counter()
        with self._lock:
            for number in self._known.with_gaps():
                found[self._streams.names[number].kind] += self._known.missing(number, until_ms)
        return +found

    def worst(self, until_ms: int, most: int) -> list[Gap]:
        """The streams that miss most, at most so many of them; just of what is known since `until_ms` or before."""
        with self._lock:
            missing = {number: self._known.missing(number, until_ms) for number in self._known.with_gaps()}
            found = heapq.nsmallest(most, missing, key=lambda number: (-missing[number], self._streams.names[number]))
            return [self._gap(number, until_ms) for number in found if missing[number]]

    def of_device(self, device: str, until_ms: int) -> list[Gap]:
        """All streams of a device that were seen, whether they miss something or not."""
        with self._lock:
            names = self._streams.names
            self._known.grow(len(names))
            numbers = [number for number, each in enumerate(names) if each.device == device]
            return [
                self._gap(number, until_ms)
                for number in numbers
                if self._known.high[number] != NONE or self._known.refused[number]
            ]

    def ripened(self, until_ms: int) -> list[Missing]:
        """The streams with new holes that are known since `until_ms` or before; each hole shows its stream once."""
        with self._lock:
            ripe = [number for number, since_ms in self._young.items() if since_ms <= until_ms]
            for number in ripe:
                del self._young[number]
                later = [hole.since_ms for _, hole in self._known.holes(number) if hole.since_ms > until_ms]
                if later:
                    self._young[number] = min(later)
            names = self._streams.names
            found = [Missing(names[number], self._known.missing(number, until_ms)) for number in ripe]
        return [each for each in found if each.missing]

    def gap(self, stream: Stream, until_ms: int) -> Gap:
        """What is missing of a stream that was seen, and known to be so since `until_ms` or before."""
        with self._lock:
            return self._gap(self._streams.number(stream), until_ms)

    def _track(self, seen: Sightings) -> Counter[str]:
        known = self._known
        stream, boot, seq, counts = seen.stream, seen.boot, seen.seq, seen.counts
        if bool((stream[1:] < stream[:-1]).any()):
            order = np.argsort(stream, kind="stable")
            stream, boot, seq = stream[order], boot[order], seq[order]
            counts = None if counts is None else counts[order]
        begins = np.ones(len(stream), np.bool_)
        begins[1:] = stream[1:] != stream[:-1]
        heads = np.flatnonzero(begins)
        ends = np.append(heads[1:], len(stream))
        known.changed[stream[heads]] = True
        smooth = self._go_on(stream, boot, seq, heads, ends)
        if smooth.all():
            return Counter()
        rough = np.repeat(~smooth, ends - heads)
        stream, boot, seq = stream[rough], boot[rough], seq[rough]
        counts = None if counts is None else counts[rough]
        ends = np.cumsum((ends - heads)[~smooth])
        heads = np.append(0, ends[:-1])
        # The numbers of a channel that carries several events come event by event.
        order = np.lexsort((seq, boot, stream))
        smooth = self._go_on(stream, boot[order], seq[order], heads, ends)
        again: Counter[str] = Counter()
        for head, end in zip(heads[~smooth].tolist(), ends[~smooth].tolist(), strict=True):
            number = int(stream[head])
            flags = None if counts is None else counts[head:end]
            if repeated := self._look(number, boot[head:end], seq[head:end], flags, seen.received_ms):
                again[self._streams.names[number].kind] += repeated
        return again

    def _go_on(self, stream: Ints, boot: Ints, seq: Ints, heads: Ints, ends: Ints) -> Bools:
        """Note the numbers of streams that go on where they were.

        Args:
            stream: int64[n], in rising order.
            boot: int64[n].
            seq: int64[n].
            heads: int64[m], where each stream begins.
            ends: int64[m], where it ends.

        Returns:
            bool[m], which of the streams these are.
        """
        known, owners = self._known, stream[heads]
        follows = np.empty(len(stream), np.bool_)
        follows[1:] = (seq[1:] == seq[:-1] + 1) & (boot[1:] == boot[:-1])
        follows[heads] = (boot[heads] == known.boot[owners]) & (seq[heads] == known.high[owners] + 1)
        smooth: Bools = np.logical_and.reduceat(follows, heads)
        known.high[owners[smooth]] = seq[ends[smooth] - 1]
        return smooth

    def _look(self, number: int, boots: Ints, seqs: Ints, counts: Bools | None, now_ms: int) -> int:
        """Note what came of one stream; how many of those that count had been seen before."""
        by_boot: dict[int, list[tuple[int, bool]]] = {}
        flags = [True] * len(seqs) if counts is None else counts.tolist()
        for boot, seq, flag in zip(boots.tolist(), seqs.tolist(), flags, strict=True):
            by_boot.setdefault(boot, []).append((seq, flag))
        repeated = 0
        for boot, found in by_boot.items():
            found.sort()
            era = self._known.era(number, boot, found[0][0])
            if era is None:
                continue
            before = len(era.holes)
            repeated += _repeated(era, found, now_ms)
            self._known.put_back(number, era, before)
            if era.opened:
                era.opened = False
                self._young.setdefault(number, now_ms)
        return repeated

    def _gap(self, number: int, until_ms: int) -> Gap:
        known = self._known
        return Gap(
            stream=self._streams.names[number],
            boot=int(known.boot[number]),
            high=int(known.high[number]),
            boots=int(known.boots[number]),
            missing=known.missing(number, until_ms),
            lost=known.lost[number],
            refused=known.refused[number],
            ranges=tuple(
                Range(boot, hole.first, hole.last) for boot, hole in known.holes(number) if hole.since_ms <= until_ms
            ),
        )


def _repeated(era: Era, found: Sequence[tuple[int, bool]], now_ms: int) -> int:
    """Note sorted numbers of one era, each with whether it counts; how many that count had been seen before."""
    # Of equal numbers one that counts, where there is one, comes last, and stands for all.
    wanted = dict(found)
    new = 0
    for first, last, counts in _runs(wanted):
        came = era.see(first, last, now_ms)
        if counts:
            new += came
    return sum(counts for _, counts in found) - new


def _runs(wanted: Mapping[int, bool]) -> Iterator[tuple[int, int, bool]]:
    """Runs of consecutive numbers that all count, or all do not."""
    rest = iter(wanted.items())
    first, flag = next(rest)
    last = first
    for number, counts in rest:
        if number != last + 1 or counts is not flag:
            yield first, last, flag
            first, flag = number, counts
        last = number
    yield first, last, flag
