"""One series after the other, one row after the other: holds, rises, entries and states in plain Python."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

NS = 1_000_000_000
DAY_NS = 86_400 * NS
Cells = list[float]
"""A figure for each bucket."""


def bucket_of(time: int, edges: Sequence[int]) -> int | None:
    """The half-open bucket in which a time falls, or None."""
    place = bisect_right(edges, time) - 1
    return place if 0 <= place < len(edges) - 1 else None


def shares(start: int, stop: int, edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """How many ns of `[start, stop)` lie in each bucket that it touches."""
    start, stop = max(start, edges[0]), min(stop, edges[-1])
    if start >= stop:
        return
    place = bisect_right(edges, start) - 1
    while start < stop:
        end = min(stop, edges[place + 1])
        yield place, end - start
        start, place = end, place + 1


def holds(times: Sequence[int], hold: int, edges: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Every (row, bucket, ns) in which a row holds: until the next row, and for `hold` at most."""
    last = len(times) - 1
    # Rows whose successor comes before the first edge hold nothing in a bucket.
    first = max(bisect_right(times, edges[0]) - 1, 0)
    for row in range(first, bisect_left(times, edges[-1])):
        start = times[row]
        stop = start + hold
        if row < last:
            stop = min(stop, times[row + 1])
        for place, ns in shares(start, stop, edges):
            yield row, place, ns


def empty(edges: Sequence[int]) -> Cells:
    """A zero for each bucket."""
    return [0.0] * (len(edges) - 1)


def held_ns(times: Sequence[int], hold: int, edges: Sequence[int]) -> list[int]:
    """The ns of each bucket in which a row held."""
    made = [0] * (len(edges) - 1)
    for _, place, ns in holds(times, hold, edges):
        made[place] += ns
    return made


def integral(times: Sequence[int], values: Sequence[float], hold: int, edges: Sequence[int]) -> tuple[Cells, list[int]]:
    """The integral in unit · ns of each bucket, and the ns in which a row held."""
    made, seen = empty(edges), [0] * (len(edges) - 1)
    for row, place, ns in holds(times, hold, edges):
        made[place] += values[row] * ns
        seen[place] += ns
    return made, seen


def entries(times: Sequence[int], values: Sequence[Any], labels: Sequence[str], edges: Sequence[int]) -> Cells:
    """How often the value became one of the labels, from another value."""
    made = empty(edges)
    for row in range(1, len(times)):
        if values[row] != values[row - 1] and values[row] in labels:
            place = bucket_of(times[row], edges)
            if place is not None:
                made[place] += 1
    return made


def rise(
    times: Sequence[int], values: Sequence[float], hold: int, edges: Sequence[int], *, resets: bool
) -> tuple[Cells, list[int]]:
    """By how much a register (or, without resets, a level) rose, and the ns between rows at most `hold` apart."""
    made, seen = empty(edges), [0] * (len(edges) - 1)
    for row in range(1, len(times)):
        start, stop = times[row - 1], times[row]
        if stop <= edges[0] or start >= edges[-1]:
            continue
        more = values[row] - values[row - 1]
        if more < 0:
            more = values[row] if resets else 0.0
        if stop - start <= hold:
            for place, ns in shares(start, stop, edges):
                made[place] += more * (ns / (stop - start))
                seen[place] += ns
        else:
            found = bucket_of(stop, edges)
            if found is not None:
                made[found] += more
    return made, seen


def timeline(
    said: Sequence[tuple[int, str]], heard: Sequence[tuple[int, str]], hold: int, edges: Sequence[int]
) -> dict[str, list[int]]:
    """The ns of each bucket in each state.

    Args:
        said: (time, state) of statuses, in the order of time.
        heard: (time, state) of signs of life, in the order of time.
        hold: how long a sign of life holds.
        edges: the buckets.

    Returns:
        By state. While the last status says other than "online", that is the state; else it is that of the last sign
        of life while it holds; else nothing is known.
    """
    made: dict[str, list[int]] = {}
    marks = sorted({time for time, _ in said} | {time for time, _ in heard} | {time + hold for time, _ in heard})
    marks = [mark for mark in marks if mark < edges[-1]]
    last_said = last_heard = -1
    for number, mark in enumerate(marks):
        while last_said + 1 < len(said) and said[last_said + 1][0] <= mark:
            last_said += 1
        while last_heard + 1 < len(heard) and heard[last_heard + 1][0] <= mark:
            last_heard += 1
        state: str | None = None
        if last_said >= 0 and said[last_said][1] != "online":
            state = said[last_said][1]
        elif last_heard >= 0 and mark < heard[last_heard][0] + hold:
            state = heard[last_heard][1]
        if state is None:
            continue
        stop = marks[number + 1] if number + 1 < len(marks) else edges[-1]
        cells = made.setdefault(state, [0] * (len(edges) - 1))
        for place, ns in shares(mark, stop, edges):
            cells[place] += ns
    return made


def repairs(said: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """(time of its end, length in ns) of each outage that ended."""
    begun: int | None = None
    for time, state in said:
        if state == "offline":
            begun = time if begun is None else begun
        elif begun is not None:
            yield time, time - begun
            begun = None
