import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.times import LATEST_NS, NS_PER_DAY, NS_PER_S, parse_instant, parse_span, rfc3339
from devices.errors import QueryError
from tests.api.world import NOW_NS

TZ = ZoneInfo("Asia/Shanghai")
HOUR_NS = 3600 * NS_PER_S


def read(text: str, tz: ZoneInfo = TZ) -> int:
    return parse_instant("start", text, now_ns=NOW_NS, tz=tz)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2025-06-01T08:00:00+08:00", 1748736000),
        ("2025-06-01T00:00:00Z", 1748736000),
        ("2025-06-01t00:00:00z", 1748736000),
        ("2025-06-01T08:00:00 08:00", 1748736000),  # a `+` that arrived as a space
        ("2025-06-01T08:00:00", 1748736000),
        ("2025-06-01 08:00", 1748736000),
        ("2025-05-31T19:00:00-05:00", 1748736000),
        ("2025-06-01", 1748707200),
        ("1748736000", 1748736000),
        ("1748736000000", 1748736000),
        ("1748736000000000", 1748736000),
        ("1748736000000000000", 1748736000),
        ("0", 0),
        (" 1748736000 ", 1748736000),
    ],
)
def test_absolute_times(text: str, seconds: int) -> None:
    assert read(text) == seconds * NS_PER_S


@pytest.mark.parametrize(
    ("text", "before_s"),
    [("now", 0), ("-24h", 86400), ("now-24h", 86400), ("-90m", 5400), ("-7d", 604800), ("-2w", 1209600), ("-5s", 5)],
)
def test_times_before_now(text: str, before_s: int) -> None:
    assert read(text) == NOW_NS - before_s * NS_PER_S


def test_fractions_are_exact_to_the_nanosecond() -> None:
    assert read("2025-06-01T00:00:00.123456789Z") == 1748736000 * NS_PER_S + 123456789


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "24h", "-24", "-1y", "--1h", "2025-13-01", "2025-06-01T25:00:00Z", "2025-06-01T08:00:00+99:00",
        "2025-06-01T08:0008:00", "2025-06-01+08:00", "1e9", "1.5", "NaN", "-inf", "٢٠٢٥-06-01", "9" * 19, "9" * 40,
        "-999999w", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00",
        "2025-06-01T08:00:00Z\0",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_what_to_send(text: str) -> None:
    with pytest.raises(QueryError, match=re.escape("write RFC 3339")) as caught:
        read(text)
    assert caught.value.code == "time"


@given(st.text(max_size=64))
def test_any_text_is_a_time_in_range_or_refused(text: str) -> None:
    try:
        instant = read(text)
    except QueryError as exc:
        code, instant = exc.code, 0
    else:
        code = "time"
    assert code == "time"
    assert 0 <= instant <= LATEST_NS


@given(
    st.integers(0, LATEST_NS // 1_000_000),
    st.sampled_from(["Asia/Shanghai", "Europe/London", "Asia/Kathmandu", "Pacific/Apia"]),
)
def test_what_we_write_reads_back(milliseconds: int, name: str) -> None:
    tz = ZoneInfo(name)
    instant = milliseconds * 1_000_000
    assert read(rfc3339(instant, tz), tz) == instant


def test_times_are_written_in_the_zone_with_its_offset() -> None:
    assert rfc3339(1748736000 * NS_PER_S, TZ) == "2025-06-01T08:00:00+08:00"
    assert rfc3339(1748736000 * NS_PER_S + 5_000_123, ZoneInfo("Europe/London")) == "2025-06-01T01:00:00.005+01:00"
    assert datetime.fromisoformat(rfc3339(1_000_000, TZ)).microsecond == 1000


def test_a_span_is_the_last_day_unless_told() -> None:
    span = parse_span(None, None, now_ns=NOW_NS, tz=TZ, max_days=400)
    assert (span.start_ns, span.stop_ns) == (NOW_NS - NS_PER_DAY, NOW_NS)
    span = parse_span(None, "-1h", now_ns=NOW_NS, tz=TZ, max_days=400)
    assert (span.start_ns, span.stop_ns) == (NOW_NS - HOUR_NS - NS_PER_DAY, NOW_NS - HOUR_NS)


def test_a_reversed_or_empty_span_is_refused() -> None:
    for start, stop in [("now", "-1h"), ("-1h", "-1h"), ("2030-01-01", None)]:
        with pytest.raises(QueryError, match="send the earlier one as start") as caught:
            parse_span(start, stop, now_ns=NOW_NS, tz=TZ, max_days=400)
        assert caught.value.code == "span_reversed"


def test_a_span_over_the_limit_is_refused_with_the_start_to_send() -> None:
    parse_span("-400d", "now", now_ns=NOW_NS, tz=TZ, max_days=400)
    with pytest.raises(QueryError, match="start=2024-04-27T10:00:00\\+08:00") as caught:
        parse_span("-401d", "now", now_ns=NOW_NS, tz=TZ, max_days=400)
    assert caught.value.code == "span_too_long"
