"""Bucket edges on the wall clock, on ordinary days and where clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregate.edges import MAX_BUCKETS, Every, bucket_edges, daily_instants
from devices.errors import QueryError

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOUR = 3600 * 10**9


def ns(text: str, tz: ZoneInfo = BERLIN) -> int:
    """When a wall clock shows `text`; a trailing * means for the second time."""
    moment = datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=tz, fold=text.endswith("*"))
    return round(moment.timestamp()) * 10**9


def edges(start: str, stop: str, every: str, tz: ZoneInfo = BERLIN) -> list[int]:
    made: list[int] = bucket_edges(ns(start, tz), ns(stop, tz), Every.parse(every), tz).tolist()
    return made


@pytest.mark.parametrize("text", ["1m", "5m", "15m", "30m", "60m", "1h", "2h", "6h", "12h", "24h", "1d", "1w", "1mo"])
def test_lengths_that_divide_the_calendar_are_read(text: str) -> None:
    assert Every.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "0m",
        "-1h",
        "7m",
        "5h",
        "48h",
        "2d",
        "2w",
        "3mo",
        "1y",
        "1H",
        "1.5h",
        " 1h",
        "1h\n",
        "1s",
        "99999m",
        "１h",
    ],
)
def test_other_lengths_are_refused_and_told_what_to_write(text: str) -> None:
    with pytest.raises(QueryError, match="15m"):
        Every.parse(text)


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5), (-1, 5), (0, 2**63)])
def test_a_span_that_is_none_is_refused(start: int, stop: int) -> None:
    with pytest.raises(QueryError, match="before stop"):
        bucket_edges(start, stop, Every.parse("1h"), BERLIN)


def test_too_many_buckets_are_refused() -> None:
    every, start = Every.parse("1h"), ns("2024-06-01")
    assert len(bucket_edges(start, start + MAX_BUCKETS * HOUR, every, SHANGHAI)) == MAX_BUCKETS + 1
    for more in (1, HOUR, 10**18):
        with pytest.raises(QueryError, match="10,000"):
            bucket_edges(start, start + MAX_BUCKETS * HOUR + more, every, SHANGHAI)


def test_the_ends_are_clipped() -> None:
    assert edges("2024-06-01T10:07", "2024-06-01T12:30", "1h") == [
        ns(f"2024-06-01T{at}") for at in ("10:07", "11:00", "12:00", "12:30")
    ]


def test_days_begin_at_local_midnight() -> None:
    assert edges("2024-06-01T10:00", "2024-06-03T10:00", "1d", SHANGHAI) == [
        ns(f"2024-06-{at}", SHANGHAI) for at in ("01T10:00", "02T00:00", "03T00:00", "03T10:00")
    ]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert edges("2024-02-01", "2024-02-15", "1w") == [ns(f"2024-02-{day}") for day in ("01", "05", "12", "15")]
    assert edges("2023-12-15", "2024-03-05", "1mo") == [
        ns(day) for day in ("2023-12-15", "2024-01-01", "2024-02-01", "2024-03-01", "2024-03-05")
    ]


@pytest.mark.parametrize(
    ("day", "after", "hours", "quarters", "sixths"),
    [
        ("2024-03-31", "2024-04-01", 23, 92, [5, 6, 6, 6]),
        ("2024-10-27", "2024-10-28", 25, 100, [7, 6, 6, 6]),
        ("2024-06-01", "2024-06-02", 24, 96, [6, 6, 6, 6]),
    ],
)
def test_a_day_on_which_clocks_change_has_23_or_25_hours(
    day: str, after: str, hours: int, quarters: int, sixths: list[int]
) -> None:
    assert np.diff(edges(day, after, "1d")).tolist() == [hours * HOUR]
    assert np.diff(edges(day, after, "1h")).tolist() == [HOUR] * hours
    assert np.diff(edges(day, after, "15m")).tolist() == [HOUR // 4] * quarters
    assert np.diff(edges(day, after, "6h")).tolist() == [each * HOUR for each in sixths]


def test_a_span_over_a_change_of_clocks_keeps_local_days() -> None:
    found = edges("2024-10-26", "2024-10-29", "1d")
    assert np.diff(found).tolist() == [24 * HOUR, 25 * HOUR, 24 * HOUR]


def test_an_hour_that_comes_twice_is_two_buckets() -> None:
    assert edges("2024-10-27T01:00", "2024-10-27T03:00", "1h") == [
        ns(f"2024-10-27T{at}") for at in ("01:00", "02:00", "02:00*", "03:00")
    ]
    assert edges("2024-10-27T00:00", "2024-10-27T04:00", "2h") == [
        ns(f"2024-10-27T{at}") for at in ("00:00", "02:00", "04:00")
    ]


def test_a_midnight_that_never_comes_is_the_instant_of_the_change() -> None:
    tz = ZoneInfo("America/Sao_Paulo")  # 2018-11-04: 00:00 became 01:00
    assert edges("2018-11-03", "2018-11-05", "1d", tz) == [
        ns(at, tz) for at in ("2018-11-03", "2018-11-04T01:00", "2018-11-05")
    ]


def test_a_midnight_that_comes_twice_begins_the_day_at_first() -> None:
    tz = ZoneInfo("America/Havana")  # 2023-11-05: 01:00 became 00:00
    assert edges("2023-11-04", "2023-11-06", "1d", tz) == [ns(f"2023-11-{at}", tz) for at in ("04", "05", "06")]
    assert np.diff(edges("2023-11-05", "2023-11-06", "1d", tz)).tolist() == [25 * HOUR]


def test_a_change_by_half_an_hour_puts_one_edge_at_the_change() -> None:
    tz = ZoneInfo("Australia/Lord_Howe")  # 2024-10-06: 02:00 became 02:30
    assert np.diff(edges("2024-10-06T00:00", "2024-10-06T04:00", "1h", tz)).tolist() == [
        HOUR,
        HOUR,
        HOUR // 2,
        HOUR,
    ]
    assert np.diff(edges("2024-10-06T01:40", "2024-10-06T03:00", "20m", tz)).tolist() == [
        HOUR // 3,
        HOUR // 6,
        HOUR // 3,
    ]


ZONES = st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York"), ZoneInfo("UTC")])


@given(
    st.integers(0, 2**31),
    st.integers(1, 40 * 86_400),
    st.sampled_from(["15m", "1h", "6h", "12h", "1d", "1w", "1mo"]),
    ZONES,
)
def test_edges_are_where_the_wall_clock_says(start: int, length: int, text: str, tz: ZoneInfo) -> None:
    every = Every.parse(text)
    found = bucket_edges(start * 10**9, (start + length) * 10**9, every, tz)
    assert (found[0], found[-1]) == (start * 10**9, (start + length) * 10**9)
    assert (np.diff(found) > 0).all()
    assert (np.diff(found) <= (32 * 24 if text == "1mo" else every.seconds // 3600 + 2) * HOUR).all()
    for edge in found[1:-1].tolist():
        assert _begins(edge // 10**9, text, tz)
    # No edge is missing: nothing else begins in between, by the quarter of an hour.
    begins = [at for at in range(-(-start // 900) * 900, start + length, 900) if at > start and _begins(at, text, tz)]
    assert set(begins) <= {edge // 10**9 for edge in found.tolist()}


def _begins(instant: int, text: str, tz: ZoneInfo) -> bool:
    """Whether a bucket begins at an instant: the clock comes to a multiple, or jumps over one."""
    now, before = (datetime.fromtimestamp(each, tz) for each in (instant, instant - 1))
    if text in {"1d", "1w", "1mo"}:
        first = text == "1d" or (now.weekday() == 0 if text == "1w" else now.day == 1)
        return now.date() != before.date() and first
    minutes = {"15m": 15, "1h": 60, "6h": 360, "12h": 720}[text]
    shown = [each.hour * 60 + each.minute for each in (now, before)]
    comes = shown[0] % minutes == 0 and now.second == 0 and not (now.fold and minutes > 60)
    return comes or now.date() != before.date() or shown[0] // minutes > shown[1] // minutes


def test_an_instant_at_the_start_is_the_first() -> None:
    four = ns("2024-06-01T04:00", SHANGHAI)
    assert daily_instants(four, four, 4, SHANGHAI).tolist() == [four]
    assert daily_instants(four - 1, four, 4, SHANGHAI).tolist() == [four - 24 * HOUR, four]


@given(st.integers(10**9, 2**31), st.integers(0, 5 * 86_400), st.integers(0, 23), ZONES)
def test_daily_instants_reach_back_to_before_the_start(start: int, length: int, hour: int, tz: ZoneInfo) -> None:
    stop = start + length
    found = daily_instants(start * 10**9, stop * 10**9, hour, tz) // 10**9
    assert found[0] <= start < found[0] + 26 * 3600
    assert (found[1:] > start).all()
    assert found[-1] <= stop < found[-1] + 26 * 3600
    assert (np.diff(found) > 22 * 3600).all()
    assert (np.diff(found) < 26 * 3600).all()
    for instant in found.tolist():
        shown = datetime.fromtimestamp(instant, tz)
        assert shown.hour == hour or (hour, shown.hour) == (2, 3)  # clocks go forward at 2
        assert not shown.fold
