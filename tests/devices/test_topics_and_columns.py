"""Topics and columnar batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.columns import ABSENT, Batch, Coded, SeriesKey, column_of
from devices.errors import ReadingError, Reason
from devices.kind import Channel
from devices.registry import discover
from devices.topics import Topic

KINDS = discover()
TABLE = KINDS["charger"].tables["telemetry"]
SESSION = KINDS["charger"].tables["session"]
_ID = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)


@given(_ID, st.sampled_from(list(KINDS)), _ID, st.sampled_from(Channel))
def test_topics_round_trip(compound: str, kind: str, device: str, channel: Channel) -> None:
    topic = Topic(compound, kind, device, channel)
    assert Topic.parse(str(topic)) == topic


@given(st.text())
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ReadingError) as caught:
        Topic.parse(text)
    assert caught.value.reason is Reason.TOPIC


@pytest.mark.parametrize(
    "text",
    [
        "compounds/a/gate/d",
        "compounds/a/gate/d/telemetry/x",
        "compounds/a/gate/d/other",
        "compounds/A/gate/d/telemetry",
        "compounds//gate/d/telemetry",
        "compounds/a/gate/+/telemetry",
        f"compounds/a/gate/{'d' * 65}/telemetry",
        "elsewhere/a/gate/d/telemetry",
        "compounds/a/gate/d\n/telemetry",
    ],
)
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(ReadingError):
        Topic.parse(text)


def test_columns_keep_what_is_absent() -> None:
    soc = column_of(TABLE.by_name["soc"], [0.5, None])
    assert isinstance(soc, np.ndarray)
    assert np.isnan(soc).tolist() == [False, True]
    status = column_of(TABLE.by_name["status"], ["Charging", None])
    assert isinstance(status, Coded)
    assert status.codes.tolist() == [TABLE.by_name["status"].labels.index("Charging"), ABSENT]
    assert status.decoded() == ["Charging", None]
    ids = column_of(SESSION.by_name["id"], ["b", "a", None, "b"])
    assert isinstance(ids, Coded)
    assert ids.decoded() == ["b", "a", None, "b"]
    with pytest.raises(KeyError):
        column_of(TABLE.by_name["status"], ["Dancing"])


def _batch(rows: list[tuple[str, int, str, float]]) -> Batch:
    keys = tuple(dict.fromkeys(SeriesKey("a", device, "1") for device, *_ in rows))
    series = np.array([keys.index(SeriesKey("a", device, "1")) for device, *_ in rows], np.int32)
    columns = {
        "id": column_of(SESSION.by_name["id"], [id_ for *_, id_, _ in rows]),
        "energy_wh": column_of(SESSION.by_name["energy_wh"], [energy for *_, energy in rows]),
    }
    return Batch(SESSION, keys, series, np.array([time for _, time, *_ in rows], np.int64), columns)


def _rows(batch: Batch) -> list[tuple[str, int, str | None, float]]:
    ids = batch.coded("id").decoded()
    return [
        (batch.keys[series].device, time, id_, energy)
        for series, time, id_, energy in zip(
            batch.series.tolist(), batch.time.tolist(), ids, batch.floats("energy_wh").tolist(), strict=True
        )
    ]


_ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from("xyz"), st.floats(0, 9)), max_size=12
)


@given(st.lists(_ROWS, min_size=1, max_size=4))
def test_joining_batches_keeps_every_row(parts: list[list[tuple[str, int, str, float]]]) -> None:
    joined = Batch.concatenated([_batch(rows) for rows in parts])
    assert _rows(joined) == [row for rows in parts for row in rows]


@given(_ROWS)
def test_sorting_keeps_every_row_and_orders_them(rows: list[tuple[str, int, str, float]]) -> None:
    batch = _batch(rows)
    before = _rows(batch)
    ordered = batch.sorted()
    assert sorted(_rows(ordered)) == sorted(rows)
    place = list(zip(ordered.series.tolist(), ordered.time.tolist(), strict=True))
    assert place == sorted(place)
    assert _rows(batch) == before
    offsets = ordered.offsets()
    assert offsets[0] == 0
    assert offsets[-1] == len(rows)
    assert all(set(ordered.series[offsets[i] : offsets[i + 1]].tolist()) <= {i} for i in range(len(ordered.keys)))


def test_columns_are_told_apart() -> None:
    batch = _batch([("a", 1, "x", 1.0)])
    with pytest.raises(TypeError, match="holds labels"):
        batch.floats("id")
    with pytest.raises(TypeError, match="holds numbers"):
        batch.coded("energy_wh")
    assert len(Batch.empty(SESSION)) == 0
    assert set(Batch.empty(SESSION, ["id"]).columns) == {"id"}
