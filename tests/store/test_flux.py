"""Queries are text, and no text from outside becomes code in them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.registry import discover
from store.checks import MAX_NS, MIN_NS
from store.flux import Selection, instant, text

TABLE = discover()["gate"].tables["pass"]


@given(st.text())
def test_a_string_stays_one_string(value: str) -> None:
    literal = text(value)
    inside = literal[1:-1]
    assert literal[0] == literal[-1] == '"'
    assert re.fullmatch(r'(?:[^"\\$\n\r]|\\.)*', inside)
    unescaped = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), inside)
    assert unescaped == value


@given(st.lists(st.text(max_size=8)), st.lists(st.text(max_size=8)))
def test_only_ids_reach_a_query(compounds: list[str], devices: list[str]) -> None:
    selection = Selection(
        bucket="b", table=TABLE, fields=("direction",), start_ns=0, stop_ns=1, compounds=compounds, devices=devices
    )
    if not selection.is_empty:
        query = selection.flux()
        assert set(re.findall(r"=~ /\^\(\?:(.*)\)\$/\)", query)) <= {
            "|".join(sorted({each for each in ids if re.fullmatch(r"[a-z0-9-]{1,64}", each)}))
            for ids in (compounds, devices)
        }
        assert query.count("\n") == 6


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_767_225_600_123_456_789, "2026-01-01T00:00:00.123456789Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (MAX_NS, "2262-04-11T23:47:16.854775806Z"),
        (MIN_NS, "1677-09-21T00:12:43.145224194Z"),
        (10**30, "2262-04-11T23:47:16.854775806Z"),
        (-(10**30), "1677-09-21T00:12:43.145224194Z"),
    ],
)
def test_instants(time_ns: int, expected: str) -> None:
    assert instant(time_ns) == expected
