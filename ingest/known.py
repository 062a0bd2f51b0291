"""What is known of all streams: arrays for what each has, dictionaries for what few have. Pure; for one thread.

Of each stream the present boot and the one before it are kept as eras, the boots further back by their number alone.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ingest.eras import Era, Hole, Holes

MOST_HOLES = 1024
"""So many holes of one boot are kept; the lowest beyond that are lost."""
FEW_HOLES = 4
"""The same while all streams together have more than `ALL_HOLES`."""
ALL_HOLES = 1_000_000
OLD_BOOTS = 8
"""How many boots further back are known by their number."""
NONE = -1
"""The boot, and the highest number, of a stream of which nothing was seen."""

_MOST_LOST = 2**62
_WORD = "q"


class State(NamedTuple):
    """What is known of one stream, as it is kept in a file.

    Attributes:
        number: the stream's number.
        boot: the present boot.
        low: the first number expected of it.
        high: the highest number seen of it.
        boots: how often the boot has changed.
        lost: how many numbers are missing for good.
        refused: how many messages were refused.
        more: holes and earlier boots, as bytes; None for most.
    """

    number: int
    boot: int
    low: int
    high: int
    boots: int
    lost: int
    refused: int
    more: bytes | None


class Known:
    """What is known of all streams, by their numbers.

    Attributes:
        boot: int64, the present boot.
        high: int64, the highest number seen of it.
        boots: int64, how often the boot has changed.
        changed: bool, whether anything has changed since it was kept.
        lost: how many numbers are missing for good.
        refused: how many messages were refused.
    """

    def __init__(self, states: Iterable[State] = ()) -> None:
        """Go on from what was kept."""
        self.boot, self._low, self.high = (np.full(0, NONE, np.int64) for _ in range(3))
        self.boots = np.zeros(0, np.int64)
        self.changed = np.zeros(0, np.bool_)
        self.lost: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._holes: dict[int, Holes] = {}
        self._old: dict[int, Era] = {}
        self._older: dict[int, tuple[int, ...]] = {}
        self._all_holes = 0
        for each in states:
            self.grow(each.number + 1)
            self._take_up(each)

    def copy(self) -> "Known":
        """The same, apart from this: arrays as a whole, so that 100,000 streams take a millisecond."""
        made = Known()
        made.boot, made._low, made.high = self.boot.copy(), self._low.copy(), self.high.copy()
        made.boots, made.changed = self.boots.copy(), self.changed.copy()
        made.lost, made.refused = self.lost.copy(), self.refused.copy()
        made._holes = {number: holes.copy() for number, holes in self._holes.items()}
        made._old = {number: era.copy() for number, era in self._old.items()}
        made._older = dict(self._older)
        made._all_holes = self._all_holes
        return made

    def grow(self, streams: int) -> None:
        """Make room for so many streams."""
        room = len(self.boot)
        if streams <= room:
            return
        more = max(streams, 2 * room, 1024) - room
        self.boot, self._low, self.high = (
            np.concatenate([each, np.full(more, NONE, np.int64)]) for each in (self.boot, self._low, self.high)
        )
        self.boots = np.concatenate([self.boots, np.zeros(more, np.int64)])
        self.changed = np.concatenate([self.changed, np.zeros(more, np.bool_)])

    def era(self, number: int, boot: int, first: int) -> Era | None:
        """The era of a boot of a stream, begun where the boot is new.

        Args:
            number: the stream.
            boot: the boot.
            first: the lowest number that came of it now.

        Returns:
            The era, to be given to `put_back` when it was changed; None for a boot further back.
        """
        present = int(self.boot[number])
        if boot == present:
            return self._present(number)
        old = self._old.get(number)
        if old is not None and boot == old.boot:
            return old
        older = self._older.get(number, ())
        if boot in older or (len(older) == OLD_BOOTS and boot < min(older)):
            return None
        before_our_time = present == NONE or (old is None and boot < present)
        begin = first if before_our_time else 0
        if present != NONE:
            self._retire(number, old)
        self.boot[number] = boot
        return Era(boot, begin, begin - 1)

    def put_back(self, number: int, era: Era, holes_before: int) -> None:
        """Keep an era of a stream after a change; `holes_before` is how many holes it had."""
        self._all_holes += len(era.holes) - holes_before
        most = MOST_HOLES if self._all_holes <= ALL_HOLES else FEW_HOLES
        if (over := len(era.holes) - most) > 0:
            self._lose(number, era.holes.forget(over))
            self._all_holes -= over
        if era.boot != self.boot[number]:
            return
        self._low[number], self.high[number] = era.low, era.high
        if len(era.holes):
            self._holes[number] = era.holes
        else:
            self._holes.pop(number, None)

    def with_gaps(self) -> set[int]:
        """The streams that miss something."""
        return {*self._holes, *self.lost, *(number for number, era in self._old.items() if len(era.holes))}

    def missing(self, number: int, until_ms: int) -> int:
        """How many numbers of a stream are lost, or missing and known to be so since `until_ms` or before."""
        return self.lost[number] + sum(holes.missing(until_ms) for _, holes in self._all(number))

    def holes(self, number: int) -> Iterator[tuple[int, Hole]]:
        """All holes of a stream, each with its boot; the present boot first."""
        for boot, holes in self._all(number):
            for hole in holes:
                yield boot, hole

    def states(self) -> list[State]:
        """What is known of the streams that have changed."""
        numbers = np.flatnonzero(self.changed)
        boot, low, high, boots = (each[numbers].tolist() for each in (self.boot, self._low, self.high, self.boots))
        return [
            State(*values, self.lost[values[0]], self.refused[values[0]], self._more(values[0]))
            for values in zip(numbers.tolist(), boot, low, high, boots, strict=True)
        ]

    def _present(self, number: int) -> Era:
        boot, low, high = (int(each[number]) for each in (self.boot, self._low, self.high))
        return Era(boot, low, high, self._holes.get(number))

    def _retire(self, number: int, old: Era | None) -> None:
        """Make the present boot of a stream its old one, and of the old one so far keep boot and loss."""
        self.boots[number] += 1
        if old is not None:
            self._older[number] = (*self._older.get(number, ()), old.boot)[-OLD_BOOTS:]
            self._lose(number, old.holes.missing())
            self._all_holes -= len(old.holes)
        self._old[number] = self._present(number)
        self._holes.pop(number, None)

    def _lose(self, number: int, missing: int) -> None:
        if missing:
            self.lost[number] = min(self.lost[number] + missing, _MOST_LOST)

    def _all(self, number: int) -> Iterator[tuple[int, Holes]]:
        if number in self._holes:
            yield int(self.boot[number]), self._holes[number]
        if number in self._old:
            yield self._old[number].boot, self._old[number].holes

    def _more(self, number: int) -> bytes | None:
        holes, old = self._holes.get(number), self._old.get(number)
        if holes is None and old is None:
            return None
        words = (holes or Holes()).words()
        if old is not None:
            older = self._older.get(number, ())
            words += array(_WORD, [old.boot, old.low, old.high]) + old.holes.words() + array(_WORD, older)
        return words.tobytes()

    def _take_up(self, state: State) -> None:
        number = state.number
        self.boot[number], self._low[number], self.high[number] = state.boot, state.low, state.high
        self.boots[number] = state.boots
        if state.lost:
            self.lost[number] = state.lost
        if state.refused:
            self.refused[number] = state.refused
        if state.more is None:
            return
        words = array(_WORD, state.more)
        holes, place = Holes.of_words(words, 0)
        if len(holes):
            self._holes[number] = holes
        self._all_holes += len(holes)
        if place == len(words):
            return
        boot, low, high = words[place : place + 3]
        holes, place = Holes.of_words(words, place + 3)
        self._old[number] = Era(boot, low, high, holes)
        self._all_holes += len(holes)
        if place < len(words):
            self._older[number] = tuple(words[place:])
