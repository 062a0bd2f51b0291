"""Bucket edges: a span of time cut where the wall clock of a compound says so."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Times
from devices.errors import QueryError

MAX_BUCKETS = 10_000
NS_PER_S = 1_000_000_000
_DAY_S = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LATEST_NS = 9_000_000_000_000_000_000  # the year 2255, as for payloads
_TEXT = re.compile(r"([1-9][0-9]{0,3})(m|h|d|w|mo)", re.ASCII)
_HOW = 'write minutes or hours that divide a day, such as "15m", "1h" or "6h", or one of "1d", "1w", "1mo"'


class Step(StrEnum):
    """What a bucket's length is counted in."""

    CLOCK = "clock"  # seconds of the wall clock, from local midnight
    DAY = "d"
    WEEK = "w"
    MONTH = "mo"


@dataclass(frozen=True, slots=True)
class Every:
    """How long a bucket is.

    Attributes:
        text: as it was written, for example "15m".
        step: what its length is counted in.
        seconds: its length; of a day, a week and a month the nominal one (no clock changes, 30 days).
    """

    text: str
    step: Step
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a bucket length.

        Args:
            text: minutes or hours that divide a day ("15m", "6h"), or "1d", "1w", "1mo".

        Returns:
            The length.

        Raises:
            QueryError: the text says something else; the message says what to write.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise QueryError(f"every={text[:20]!r} is no bucket length: {_HOW}")
        number, unit = int(found[1]), found[2]
        if unit in {"m", "h"}:
            seconds = number * (60 if unit == "m" else 3600)
            if _DAY_S % seconds == 0:
                return cls(text, Step.DAY if seconds == _DAY_S else Step.CLOCK, seconds)
        elif number == 1:
            step = Step(unit)
            return cls(text, step, _DAY_S * {Step.DAY: 1, Step.WEEK: 7, Step.MONTH: 30}[step])
        raise QueryError(f"every={text!r} does not divide the calendar: {_HOW}")


def bucket_edges(start_ns: int, stop_ns: int, every: Every, tz: ZoneInfo) -> Times:
    """Cut `[start, stop)` into buckets whose edges lie on the local wall clock.

    Days begin at local midnight, weeks on Monday, months on the 1st, minutes and hours at their multiples since local
    midnight. Where clocks go forward over a multiple, the edge is the instant of the change; where they go back, a
    multiple that comes twice is an edge twice if the buckets are no longer than the time gone back, else only at first.

    Args:
        start_ns: first nanosecond, UTC; the first edge, on the clock or not.
        stop_ns: end of the span, not in it; the last edge.
        every: length of a bucket.
        tz: whose wall clock.

    Returns:
        int64[m + 1], strictly increasing: m half-open buckets.

    Raises:
        QueryError: the span is empty, reversed, outside 1970 to 2255, or makes more than `MAX_BUCKETS` buckets.
    """
    if not 0 <= start_ns < stop_ns <= _LATEST_NS:
        raise QueryError("start must lie before stop, and both between 1970 and 2255")
    span_s = (stop_ns - start_ns) / NS_PER_S
    # Before anything is made; the calendar differs a little from nominal lengths, so the exact count is checked below.
    if span_s / every.seconds > MAX_BUCKETS * 1.2:
        raise _too_many(span_s / every.seconds, every)
    inner = _instants(start_ns, stop_ns, every, tz)
    inner = inner[(inner > start_ns) & (inner < stop_ns)]
    if len(inner) >= MAX_BUCKETS:
        raise _too_many(len(inner) + 1, every)
    return np.concatenate([[start_ns], inner, [stop_ns]]).astype(np.int64)


def clock_edges(start_ns: int, stop_ns: int, every: Every, tz: ZoneInfo) -> Times:
    """The edges on the local wall clock from `start_ns` to `stop_ns`, both included where they are on it.

    Args:
        start_ns: from here on.
        stop_ns: up to here.
        every: length of a bucket.
        tz: whose wall clock.

    Returns:
        int64[n], increasing; however many there are.
    """
    found = _instants(start_ns, max(start_ns, stop_ns), every, tz)
    return found[(found >= start_ns) & (found <= stop_ns)]


def daily_instants(start_ns: int, stop_ns: int, hour: int, tz: ZoneInfo) -> Times:
    """Every instant at which the local wall clock reaches `hour`.

    Args:
        start_ns: the first instant is the last one at or before this.
        stop_ns: the last instant is the last one at or before this.
        hour: hour of the local day, 0 to 23.
        tz: whose wall clock.

    Returns:
        int64[d], increasing, d >= 1.
    """
    first = _local_date(start_ns, tz) - timedelta(days=2)
    days = (_local_date(stop_ns, tz) - first).days + 1
    instants = [_instant(first + timedelta(days=day), hour * 3600, tz) for day in range(days + 1)]
    found = np.unique(np.array(instants, np.int64))
    low = np.searchsorted(found, start_ns, "right") - 1
    return found[low : np.searchsorted(found, stop_ns, "right")]


def _too_many(number: float, every: Every) -> QueryError:
    return QueryError(
        f"every={every.text!r} cuts this span into {number:,.0f} buckets; at most {MAX_BUCKETS:,} are served. "
        "Ask for a longer `every` or a shorter span"
    )


def _instants(start_ns: int, stop_ns: int, every: Every, tz: ZoneInfo) -> Times:
    """Every edge on the clock from at or before `start_ns` to at or after `stop_ns`, and maybe some more."""
    day, last = _local_date(start_ns, tz) - timedelta(days=1), _local_date(stop_ns, tz) + timedelta(days=1)
    if every.step is Step.WEEK:
        day -= timedelta(days=day.weekday())
    elif every.step is Step.MONTH:
        day = day.replace(day=1)
    days = []
    while day <= last:
        days.append(day)
        day = _next(day, every.step)
    begins = np.array([_instant(each, 0, tz) for each in (*days, day)], np.int64)
    if every.step is not Step.CLOCK:
        return np.unique(begins[:-1])
    ordinary = np.diff(begins) == _DAY_S * NS_PER_S
    clock = np.arange(0, _DAY_S, every.seconds, dtype=np.int64) * NS_PER_S
    found = [(begins[:-1][ordinary][:, None] + clock).reshape(-1)]
    found += [_within_day(days[place], every.seconds, tz) for place in np.flatnonzero(~ordinary).tolist()]
    return np.unique(np.concatenate(found))


def _next(day: date, step: Step) -> date:
    if step is Step.MONTH:
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if step is Step.WEEK else 1)


def _within_day(day: date, seconds: int, tz: ZoneInfo) -> Times:
    """The edges of a day on which clocks change: from its midnight to before the next, by the wall clock."""
    found: list[int] = []
    for second in range(0, _DAY_S, seconds):
        first, again = _instant(day, second, tz), _instant(day, second, tz, fold=1)
        found.append(first)
        if again - first >= seconds * NS_PER_S:
            found.append(again)
    return np.array(found, np.int64)


def _instant(day: date, second: int, tz: ZoneInfo, *, fold: int = 0) -> int:
    """When the local wall clock shows `second` of `day`, in ns; in a gap, the instant of the gap."""
    wall = datetime(day.year, day.month, day.day, second // 3600, second // 60 % 60, second % 60)  # noqa: DTZ001
    offsets = [tz.utcoffset(wall.replace(fold=each)) or timedelta(0) for each in (0, 1)]
    since = (day.toordinal() - _EPOCH_DAY) * _DAY_S + second
    before, after = (since - round(each.total_seconds()) for each in offsets)
    if after >= before:  # equal: an ordinary time; later: the clock shows it twice
        return (after if fold else before) * NS_PER_S
    # The clock never shows it: it jumps over it somewhere between the two readings of it.
    low, high = after, before
    offset = datetime.fromtimestamp(low, tz).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high * NS_PER_S


def _local_date(instant_ns: int, tz: ZoneInfo) -> date:
    return datetime.fromtimestamp(instant_ns // NS_PER_S, tz).date()
