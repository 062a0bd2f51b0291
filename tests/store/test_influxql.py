"""Reading InfluxQL answers: whatever the bytes are, values or one of the declared errors come of them."""

from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import SeriesKey
from devices.errors import StoreDeniedError, StoreUnavailableError
from devices.registry import discover
from store.flux import Selection
from store.influx_csv import Run, UnexpectedShapeError
from store.influx_errors import said
from store.influxql import InfluxqlError, read, select

TYPES = {"f": pa.float64(), "g": pa.string(), "h": pa.bool_()}
KEY = {"compound": "c", "device": "d", "part": "1"}

_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["results", "series", "tags", "columns", "values", "error", "device"]), inner)
    ),
    max_leaves=20,
)
_columns = st.lists(st.sampled_from(["time", "f", "g", "h", "other"]), max_size=4)
_series = st.fixed_dictionaries(
    {"columns": _columns | _values, "values": st.lists(st.lists(_values, max_size=4), max_size=3) | _values},
    optional={"tags": st.just(KEY) | _values},
)
_likely = st.fixed_dictionaries({"results": st.lists(st.fixed_dictionaries({"series": st.lists(_series)}))})
bodies = st.binary(max_size=100) | (_values | _likely).map(msgpack.packb)


@given(bodies)
def test_any_bytes(body: bytes) -> None:
    try:
        found = read(body, TYPES)
    except (UnexpectedShapeError, InfluxqlError, StoreUnavailableError):
        return
    for name, runs in found.items():
        assert runs
        for run, answer in runs:
            assert run.field == name
            assert 0 <= run.begin < run.end <= len(answer.time) == len(answer.values)
            assert not answer.labels or set(answer.values.tolist()) <= set(range(len(answer.labels)))


def body(*series: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb({"results": [{"statement_id": 0, "series": list(series)}]})
    return packed


def test_runs_and_values() -> None:
    columns = ["time", "f", "g", "h"]
    found = read(
        body(
            {"tags": KEY, "columns": columns, "values": [[1, 1.5, "a", True], [2, None, "b", None]]},
            {"tags": {**KEY, "part": ""}, "columns": columns, "values": [[1, 2, "a", None]]},
        ),
        TYPES,
    )
    one, other = SeriesKey("c", "d", "1"), SeriesKey("c", "d", "")
    assert {name: [run for run, _ in runs] for name, runs in found.items()} == {
        "f": [Run("f", one, 0, 1), Run("f", other, 1, 2)],
        "g": [Run("g", one, 0, 2), Run("g", other, 2, 3)],
        "h": [Run("h", one, 0, 1)],
    }
    ((_, numbers), _), ((_, texts), _) = found["f"], found["g"]
    assert numbers.values.tolist() == [1.5, 2.0]
    assert texts.labels == ("a", "b")
    assert texts.values.dtype == np.int32
    assert texts.time.tolist() == [1, 2, 1]


@pytest.mark.parametrize("wrong", ["a", True, [1.0]])
def test_a_value_of_another_type(wrong: object) -> None:
    with pytest.raises(UnexpectedShapeError):
        read(body({"tags": KEY, "columns": ["time", "f"], "values": [[1, wrong]]}), TYPES)


@pytest.mark.parametrize(
    ("message", "expected"),
    [("database not found: b", StoreDeniedError), ("engine: out of memory", StoreUnavailableError)],
)
def test_what_is_said_instead(message: str, expected: type[Exception]) -> None:
    with pytest.raises(InfluxqlError, match=message):
        read(msgpack.packb({"results": [{"error": message}]}), TYPES)
    assert type(said("asked", message)) is expected


def test_no_name_and_no_id_can_become_code() -> None:
    selection = Selection(
        bucket="b",
        table=discover()["gate"].tables["pass"],
        fields=('x" FROM y; DROP',),
        start_ns=1,
        stop_ns=2,
        devices=("a-1", "b$/; DROP"),
    )
    what, _, where = select(selection).partition(" WHERE ")
    assert what == 'SELECT "x\\" FROM y; DROP" FROM "gate_pass"'
    assert where == 'time >= 1 AND time < 2 AND "device" =~ /^(?:a-1)$/ GROUP BY *'
