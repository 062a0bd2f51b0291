"""The kernels again, slow and obvious: one Python loop over everything. Times are plain integers."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

Cells = list[list[float]]
"""One figure per series and bucket."""


def pieces(times: Sequence[int], edges: Sequence[int], max_hold: int) -> Iterator[tuple[int, int, int]]:
    """Every (sample, bucket, length) in which a sample of one series holds."""
    for sample, start in enumerate(times):
        later = times[sample + 1] if sample + 1 < len(times) else edges[-1]
        stop = min(start + max_hold, later)
        for bucket in range(len(edges) - 1):
            length = min(stop, edges[bucket + 1]) - max(start, edges[bucket])
            if length > 0:
                yield sample, bucket, length


def bucket_of(time: int, edges: Sequence[int]) -> int | None:
    """The half-open bucket in which a time falls, or None."""
    for bucket in range(len(edges) - 1):
        if edges[bucket] <= time < edges[bucket + 1]:
            return bucket
    return None


def zeros(series: int, edges: Sequence[int], fill: float = 0.0) -> Cells:
    return [[fill] * (len(edges) - 1) for _ in range(series)]


def observed(series: Sequence[Sequence[int]], edges: Sequence[int], max_hold: int) -> Cells:
    made = zeros(len(series), edges)
    for row, times in enumerate(series):
        for _, bucket, length in pieces(times, edges, max_hold):
            made[row][bucket] += length
    return made


def integral(
    series: Sequence[Sequence[int]], values: Sequence[Sequence[float]], edges: Sequence[int], max_hold: int
) -> Cells:
    made = zeros(len(series), edges)
    for row, times in enumerate(series):
        terms: list[list[float]] = [[] for _ in made[row]]
        for sample, bucket, length in pieces(times, edges, max_hold):
            terms[bucket].append(values[row][sample] * length)
        made[row] = [math.fsum(each) for each in terms]
    return made


def extremes(
    series: Sequence[Sequence[int]], values: Sequence[Sequence[float]], edges: Sequence[int], max_hold: int
) -> tuple[Cells, Cells]:
    low, high = zeros(len(series), edges, math.inf), zeros(len(series), edges, -math.inf)
    for row, times in enumerate(series):
        seen = [(sample, bucket) for sample, bucket, _ in pieces(times, edges, max_hold)]
        for sample, time in enumerate(times):
            bucket = bucket_of(time, edges)
            if bucket is not None:
                seen.append((sample, bucket))
        for sample, bucket in seen:
            low[row][bucket] = min(low[row][bucket], values[row][sample])
            high[row][bucket] = max(high[row][bucket], values[row][sample])
    return low, high


def label_seconds(
    series: Sequence[Sequence[int]],
    codes: Sequence[Sequence[int]],
    edges: Sequence[int],
    max_hold: int,
    labels: int,
) -> list[Cells]:
    made = [zeros(len(series), edges) for _ in range(labels)]
    for row, times in enumerate(series):
        for sample, bucket, length in pieces(times, edges, max_hold):
            made[codes[row][sample]][row][bucket] += length
    return made


def label_entries(
    series: Sequence[Sequence[int]], codes: Sequence[Sequence[int]], edges: Sequence[int], labels: int
) -> list[Cells]:
    made = [zeros(len(series), edges) for _ in range(labels)]
    for row, times in enumerate(series):
        for sample in range(1, len(times)):
            bucket = bucket_of(times[sample], edges)
            if bucket is not None and codes[row][sample] != codes[row][sample - 1]:
                made[codes[row][sample]][row][bucket] += 1
    return made


def rises(values: Sequence[float]) -> list[float]:
    """By how much a register rose from each sample to the next."""
    return [after - before if after >= before else after for before, after in pairwise(values)]


def increase(
    series: Sequence[Sequence[int]], values: Sequence[Sequence[float]], edges: Sequence[int], max_hold: int
) -> tuple[Cells, Cells]:
    """Increase and observed time."""
    made, seen = zeros(len(series), edges), zeros(len(series), edges)
    for row, times in enumerate(series):
        for sample, rise in enumerate(rises(values[row])):
            start, stop = times[sample], times[sample + 1]
            if 0 < stop - start <= max_hold:
                for bucket in range(len(edges) - 1):
                    length = min(stop, edges[bucket + 1]) - max(start, edges[bucket])
                    if length > 0:
                        made[row][bucket] += rise * length / (stop - start)
                        seen[row][bucket] += length
            else:
                found = bucket_of(stop, edges)
                if found is not None:
                    made[row][found] += rise
    return made, seen


def durations(events: Sequence[tuple[int, int, int, bool]]) -> tuple[list[tuple[int, int]], list[int]]:
    """Match (time, device, key, closes) events.

    Returns:
        (time of the close, duration) of each pair, and the times of the closes that closed nothing.
    """
    opened: dict[tuple[int, int], int] = {}
    pairs: list[tuple[int, int]] = []
    alone: list[int] = []
    for time, device, key, closes in sorted(events, key=lambda event: (event[0], event[3])):
        if not closes:
            opened[device, key] = time
        elif (device, key) in opened:
            pairs.append((time, time - opened.pop((device, key))))
        else:
            alone.append(time)
    return pairs, alone
