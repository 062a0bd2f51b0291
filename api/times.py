"""Times in questions and answers: what a caller may write, and how we write them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from devices.columns import Times
from devices.errors import QueryError

Clock = Callable[[], int]
"""Gives the present, in nanoseconds since the epoch, UTC."""

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
LATEST_NS = 9_000_000_000_000_000_000  # the year 2255: nanoseconds in 64 bits end in 2262

HOW = (
    "write RFC 3339 (2025-06-01T08:00:00+08:00; without an offset it is the compound's wall clock; a date alone is its "
    "midnight), an epoch in s, ms, µs or ns, `now`, or a time before now such as -24h, -90m or -7d"
)
"""What a time may look like, for error messages and the API's description."""

_ABSOLUTE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?([Zz]|[+ -]\d{2}:\d{2})?", re.ASCII
)
_EPOCH = re.compile(r"\d{1,19}", re.ASCII)
_RELATIVE = re.compile(r"(?:now)?-(\d{1,6})(s|m|h|d|w)", re.ASCII)
_UNIT_NS = MappingProxyType(
    {"s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S, "d": NS_PER_DAY, "w": 7 * NS_PER_DAY}
)
# Below each bound a number counts in that unit: 1e11 s is the year 5138, 1e11 ms is 1973.
_EPOCH_UNITS = ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3), (10**19, 1))
_DEFAULT_NS = NS_PER_DAY
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open span `[start, stop)` in nanoseconds since the epoch, UTC, not empty."""

    start_ns: int
    stop_ns: int


def parse_span(start: str | None, stop: str | None, *, now_ns: int, tz: ZoneInfo, max_days: int) -> Span:
    """Read the span of a question.

    Args:
        start: its first instant as the caller wrote it; 24 hours before `stop` if None.
        stop: its end, not in it; now if None.
        now_ns: the present.
        tz: the compound's time zone.
        max_days: the longest span served.

    Returns:
        The span.

    Raises:
        QueryError: a time cannot be read, the span is reversed, empty or too long. The message says what to send.
    """
    stop_ns = now_ns if stop is None else parse_instant("stop", stop, now_ns=now_ns, tz=tz)
    start_ns = max(stop_ns - _DEFAULT_NS, 0) if start is None else parse_instant("start", start, now_ns=now_ns, tz=tz)
    if start_ns >= stop_ns:
        raise QueryError(
            f"start ({rfc3339(start_ns, tz)}) must be before stop ({rfc3339(stop_ns, tz)}); "
            "send the earlier one as start" + (" or give a stop" if stop is None else ""),
            code="span_reversed",
        )
    if stop_ns - start_ns > max_days * NS_PER_DAY:
        earliest = rfc3339(max(stop_ns - max_days * NS_PER_DAY, 0), tz)
        raise QueryError(
            f"the span is {(stop_ns - start_ns) / NS_PER_DAY:,.1f} days; at most {max_days} are served at once: "
            f"ask in parts, or send start={earliest} or later with this stop",
            code="span_too_long",
        )
    return Span(start_ns, stop_ns)


def before(span: Span, tz: ZoneInfo) -> Span:
    """The span of the same length on the wall clock that ends where this one begins; of whole months, as many months.

    Args:
        span: which.
        tz: whose wall clock.

    Raises:
        QueryError: it would begin before 1970.
    """
    start, stop = (_ZERO + timedelta(microseconds=each // 1000) for each in (span.start_ns, span.stop_ns))
    local_start, local_stop = (each.astimezone(tz).replace(tzinfo=None) for each in (start, stop))
    if all((each.day, each.time()) == (1, time()) for each in (local_start, local_stop)):
        months = (local_stop.year - local_start.year) * 12 + local_stop.month - local_start.month
        earlier = local_start.year * 12 + local_start.month - 1 - months
        begin = local_start.replace(year=earlier // 12, month=earlier % 12 + 1)
    else:
        begin = local_start - (local_stop - local_start)
    start_ns = (begin.replace(tzinfo=tz) - _ZERO) // timedelta(microseconds=1) * 1000
    if start_ns < 0:
        raise QueryError("compare=previous: the period before lies before 1970", code="time")
    return Span(start_ns, span.start_ns)


def parse_instant(name: str, text: str, *, now_ns: int, tz: ZoneInfo) -> int:
    """Read one instant.

    Args:
        name: the parameter's name, for the message.
        text: what the caller wrote.
        now_ns: the present.
        tz: whose wall clock is meant where the text has no offset.

    Returns:
        Nanoseconds since the epoch, UTC.

    Raises:
        QueryError: with code `time`; it is no time, or not one between 1970 and 2255.
    """
    instant = _read(text.strip(), now_ns, tz)
    if instant is None:
        raise QueryError(f"{name}={shown(text)} is no time: {HOW}", code="time")
    if not 0 <= instant <= LATEST_NS:
        raise QueryError(f"{name}={shown(text)} lies outside the years 1970 to 2255: {HOW}", code="time")
    return instant


def rfc3339(instant_ns: int, tz: ZoneInfo) -> str:
    """An instant as RFC 3339 in `tz` with its offset; milliseconds only where there are any."""
    seconds, rest = divmod(instant_ns, NS_PER_S)
    text = datetime.fromtimestamp(seconds, tz).isoformat(timespec="seconds")
    milliseconds = rest // 1_000_000
    return f"{text[:19]}.{milliseconds:03d}{text[19:]}" if milliseconds else text


def rfc3339_all(instants: Times, tz: ZoneInfo) -> list[str]:
    """Many instants as `rfc3339` writes each.

    Args:
        instants: int64[n], ns, ascending.
        tz: whose wall clock.
    """
    days = np.arange(instants[0] // NS_PER_DAY, instants[-1] // NS_PER_DAY + 2) if len(instants) else instants
    seconds = [_offset_s(int(day), tz) for day in days]
    if len(set(seconds)) != 1 or seconds[0] % 60 or bool((instants % NS_PER_S).any()):
        return [rfc3339(instant, tz) for instant in instants.tolist()]
    # The clock does not change: all texts end alike.
    sign, (hours, minutes) = "+-"[seconds[0] < 0], divmod(abs(seconds[0]) // 60, 60)
    local = (instants // NS_PER_S + seconds[0]).astype("datetime64[s]")
    texts: list[str] = np.strings.add(np.datetime_as_string(local), f"{sign}{hours:02d}:{minutes:02d}").tolist()
    return texts


def shown(text: str) -> str:
    """What a caller sent, quoted, in ASCII and cut to a length that a message can carry."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _offset_s(day: int, tz: ZoneInfo) -> int:
    """How far the wall clock is ahead of UTC as a day begins there, in seconds."""
    offset = datetime.fromtimestamp(day * 86_400, tz).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _read(text: str, now_ns: int, tz: ZoneInfo) -> int | None:
    if text == "now":
        return now_ns
    if found := _RELATIVE.fullmatch(text):
        return now_ns - int(found[1]) * _UNIT_NS[found[2]]
    if _EPOCH.fullmatch(text):
        number = int(text)
        return number * next(unit for bound, unit in _EPOCH_UNITS if number < bound)
    if found := _ABSOLUTE.fullmatch(text):
        return _absolute(found[1], found[2], found[3], found[4], tz)
    return None


def _absolute(day: str, clock: str | None, fraction: str | None, offset: str | None, tz: ZoneInfo) -> int | None:
    if clock is None and offset is not None:
        return None
    zone = offset or ""
    if zone[:1] == " ":  # a `+` that was not escaped in an address arrives as a space
        zone = "+" + zone[1:]
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone.upper()}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=tz)
        since = moment.astimezone(UTC) - _ZERO
    except (ValueError, OverflowError):
        return None
    return since // timedelta(seconds=1) * NS_PER_S + int((fraction or "0").ljust(9, "0"))
