"""Reading Flux CSV: whatever the bytes are, values or one of the declared errors come of them."""

import contextlib
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import SeriesKey
from devices.errors import StoreUnavailableError
from store.influx_csv import Run, UnexpectedShapeError, number, read, read_blocks

HEADER = ",result,table,_time,_value,_field,compound,device"
TYPES = st.sampled_from([pa.float64(), pa.bool_(), pa.string()])

_cells = st.sampled_from(
    ["", "0", "1", "_result", "2026-01-01T00:00:00Z", "-1.5e3", "true", '"a ""b"""', '"', "error", "reference", "x"]
)
_lines = st.lists(_cells, max_size=10).map(",".join)
_known = st.sampled_from([HEADER, HEADER + ",part", "", "error,reference"])
_likely = st.lists(_known | _lines, max_size=8)
bodies = st.binary(max_size=200) | _likely.map(lambda lines: "\r\n".join(lines).encode())


@given(bodies, TYPES)
def test_any_bytes(body: bytes, values: pa.DataType) -> None:
    for reader in (read, read_blocks):
        try:
            answer = reader(io.BytesIO(body), values)
        except (UnexpectedShapeError, StoreUnavailableError):
            continue
        assert len(answer.time) == len(answer.values)
        assert [run.begin for run in answer.runs] == [0, *(run.end for run in answer.runs)][: len(answer.runs)]
        assert not answer.runs or answer.runs[-1].end == len(answer.time)
        assert not answer.labels or set(answer.values.tolist()) <= set(range(len(answer.labels)))


@given(bodies)
def test_any_bytes_for_a_number(body: bytes) -> None:
    with contextlib.suppress(StoreUnavailableError):
        assert number(io.BytesIO(body)) >= 0


class Drip(io.BytesIO):
    """A stream that gives one byte at a time."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(1)


ROWS = f'''{HEADER},part
,_result,0,2026-01-01T00:00:00Z,a,f,c,d,1
,_result,0,2026-01-01T00:00:00.000000001Z,"b, ""c""",f,c,d,1
,_result,1,2262-01-01T00:00:00.12Z,a,g,c,d,2

{HEADER}
,_result,2,1969-12-31T23:59:59.9Z,é,f,c,e

'''


@pytest.mark.parametrize("stream", [io.BytesIO, Drip])
def test_runs_and_values(stream: type[io.BytesIO]) -> None:
    body = ROWS.replace("\n", "\r\n").encode()
    with pytest.raises(UnexpectedShapeError):
        read(stream(body), pa.string())
    answer = read_blocks(stream(body), pa.string())
    assert answer.runs == (
        Run("f", SeriesKey("c", "d", "1"), 0, 2),
        Run("g", SeriesKey("c", "d", "2"), 2, 3),
        Run("f", SeriesKey("c", "e", ""), 3, 4),
    )
    assert [answer.labels[code] for code in answer.values.astype(int).tolist()] == ["a", 'b, "c"', "a", "é"]
    first = np.datetime64("2026-01-01T00:00:00", "ns").astype(int)
    assert answer.time.tolist()[:2] == [first, first + 1]
    assert answer.time[3] == -100_000_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", 0), (b"\r\n\r\n", 0), (b",result,table,_value\r\n,_result,0,12\r\n\r\n", 12)],
)
def test_a_number(body: bytes, expected: int) -> None:
    assert number(Drip(body)) == expected
