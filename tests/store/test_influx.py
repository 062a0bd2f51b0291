"""What is InfluxDB's own: requests, bodies, what others wrote to the bucket, rows beyond retention."""

import gzip
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.columns import Batch, Coded, SeriesKey
from devices.errors import StoreRejectedError, StoreUnavailableError
from devices.registry import discover
from store import bodies
from store.influx import InfluxOptions, InfluxStore
from store.protocol import Query
from tests.services import Bucket, Influxd
from tests.store.conftest import Few, influx_options
from tests.store.model import Model, bits, rows_of
from tests.store.samples import START_NS, STOP_NS, sample
from tests.store.strategies import EVERYTHING
from tests.store.stub import Stub

GATE = discover()["gate"]
PASS, DOOR = GATE.tables["pass"], GATE.tables["telemetry"]
CHARGER = discover()["charger"].tables["telemetry"]


def everything() -> Query:
    return Query(table=PASS, start_ns=START_NS, stop_ns=STOP_NS)


class TestRequests:
    def test_several_batches_are_one_request(self) -> None:
        with Stub() as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            store.write([sample(PASS, 100), sample(DOOR, 100), sample(CHARGER, 100), Batch.empty(PASS)])
            store.close()
        assert len(stub.bodies) == 1
        assert stub.bodies[0].count(b"\n") == 300

    def test_a_request_is_no_larger_than_agreed(self) -> None:
        batches = [sample(CHARGER, 30_000, seed=seed) for seed in range(2)]
        with Stub() as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            store.write(batches)
            store.close()
        sizes = [len(body) for body in stub.bodies]
        assert sum(body.count(b"\n") for body in stub.bodies) == 60_000
        assert max(sizes) <= bodies.MAX_BODY_BYTES
        assert len(sizes) <= 2 * sum(sizes) / bodies.MAX_BODY_BYTES + 1

    @pytest.mark.parametrize(
        ("first", "requests", "partial"),
        [([422], 4, True), ([204, 422], 4, True), ([422, 400], 2, False), ([400], 1, False)],
    )
    def test_after_a_partial_refusal_the_rest_is_sent(self, first: list[int], requests: int, *, partial: bool) -> None:
        with Stub(first=first, body=b'{"code":"invalid","message":"as the test says"}') as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            with pytest.raises(StoreRejectedError) as caught:
                store.write([sample(CHARGER, 10_000, seed=seed) for seed in range(5)])
            store.close()
        assert caught.value.partial is partial
        assert len(stub.bodies) == requests

    @pytest.mark.parametrize(
        ("first", "partial"), [([422], True), ([204, 422], True), ([400], False), ([204, 400], False)]
    )
    def test_bodies_sent_together_are_refused_like_those_in_turn(self, first: list[int], *, partial: bool) -> None:
        rows = sample(CHARGER, 30_000).sorted()
        number = np.arange(len(rows), dtype=np.int64)
        distinct = replace(rows, time=START_NS + number)
        with Stub(first=first, body=b'{"code":"invalid","message":"as the test says"}') as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            with pytest.raises(StoreRejectedError) as caught:
                store.write([distinct])
            store.close()
        assert caught.value.partial is partial
        assert len(stub.bodies) == bodies.LANES
        assert sum(body.count(b"\n") for body in stub.bodies) == len(rows)

    def test_a_slow_link_is_sent_compressed_bodies(self) -> None:
        with Stub() as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t", gzip=True))
            store.write([sample(CHARGER, 5000)])
            store.close()
        (body,) = stub.bodies
        assert gzip.decompress(body).count(b"\n") == 5000

    def test_nothing_to_write_asks_nothing(self) -> None:
        with Stub() as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            store.write([])
            store.write([Batch.empty(PASS)])
            assert len(store.read(Query(table=PASS, start_ns=5, stop_ns=5))) == 0
            assert store.count(PASS, start_ns=5, stop_ns=4) == 0
            store.close()
        assert stub.bodies == []

    def test_the_token_is_not_shown(self) -> None:
        assert "hidden" not in repr(InfluxOptions(url="http://x", org="o", bucket="b", token="hidden"))


class TestErrorsInsideAnAnswer:
    HEADER = b",result,table,_time,_value,_field,compound,device\r\n"
    ROW = b",_result,0,2026-01-01T00:00:00Z,in,direction,c,d\r\n"

    @pytest.mark.parametrize(
        "body",
        [
            b"error,reference\r\nout of memory,897\r\n\r\n",
            HEADER + b"\r\nerror,reference\r\nout of memory,897\r\n\r\n",
            HEADER + ROW * 3 + b"\r\nerror,reference\r\nout of memory,897\r\n",
            HEADER + ROW * 300_000 + b"\r\nerror,reference\r\nout of memory,897\r\n\r\n",
        ],
        ids=["at once", "after the header", "after some rows", "after many rows"],
    )
    def test_they_are_raised(self, body: bytes) -> None:
        with Stub(status=200, body=body) as stub:
            store = InfluxStore(InfluxOptions(url=stub.url, org="o", bucket="b", token="t"))
            for call in (lambda: store.read(everything()), lambda: store.count(PASS, start_ns=0, stop_ns=1)):
                with pytest.raises(StoreUnavailableError, match="out of memory"):
                    call()
            store.close()


@pytest.mark.services
@pytest.mark.parametrize("store_type", [InfluxStore, Few])
class TestBucketsOfOthers:
    def test_other_measurements_fields_and_tags_are_left_alone(
        self, influx_bucket: Bucket, store_type: type[InfluxStore]
    ) -> None:
        batch = sample(PASS)
        influx_bucket.write(f'cpu,host=a usage=1 {START_NS}\ngate_pass2,compound=c,device=d direction="in" {START_NS}')
        influx_bucket.write(f"gate_pass,compound=c,device=d strange=1,n=1i {START_NS}")
        store, model = store_type(influx_options(influx_bucket)), Model()
        store.write([batch])
        model.write([batch])
        assert bits(rows_of(store.read(everything()))) == bits(model.read(everything()))
        assert store.count(PASS, start_ns=START_NS, stop_ns=STOP_NS) == 300
        store.close()

    def test_whole_numbers_are_numbers(self, influx_bucket: Bucket, store_type: type[InfluxStore]) -> None:
        head = 'everything_telemetry,compound=c,device=d,part=1 id="i",kind_of="a",tilt=true'
        influx_bucket.write(f"{head},level=7i,extra=3u {START_NS}\n{head},level=8i {START_NS + 1}")
        store = store_type(influx_options(influx_bucket))
        found = store.read(Query(table=EVERYTHING, start_ns=START_NS, stop_ns=STOP_NS))
        assert found.floats("level").tolist() == [7.0, 8.0]
        assert bits(rows_of(found))[0][2]["extra"] == struct.pack(">d", 3.0)
        assert np.isnan(found.floats("extra")).tolist() == [False, True]
        store.close()

    def test_texts_for_numbers_are_refused(self, influx_bucket: Bucket, store_type: type[InfluxStore]) -> None:
        influx_bucket.write(f'everything_telemetry,compound=c,device=d,part=1 level="high" {START_NS}')
        store = store_type(influx_options(influx_bucket))
        with pytest.raises(StoreRejectedError, match="level"):
            store.read(Query(table=EVERYTHING, start_ns=START_NS, stop_ns=STOP_NS, fields=("level",)))
        store.close()

    def test_a_label_that_is_not_declared_reads_as_absent(
        self, influx_bucket: Bucket, store_type: type[InfluxStore]
    ) -> None:
        influx_bucket.write(f'gate_pass,compound=c,device=d direction="in",method="toes",result="granted" {START_NS}')
        store = store_type(influx_options(influx_bucket))
        (row,) = rows_of(store.read(everything()))
        assert row[2] | {"direction": "in", "method": None, "result": "granted"} == row[2]
        store.close()


@pytest.mark.services
def test_a_refused_row_harms_only_its_own_request(influx_bucket: Bucket) -> None:
    """422 stores the rest: all rows but those of the field's other type can be read."""
    batch = sample(PASS, 100, keys=(SeriesKey("c", "d"),))
    influx_bucket.write(f"gate_pass,compound=c,device=d match_ms=1i {START_NS}")
    store = InfluxStore(influx_options(influx_bucket))
    with pytest.raises(StoreRejectedError) as caught:
        store.write([batch])
    assert caught.value.partial
    good = batch.take(np.isnan(batch.floats("match_ms")))
    model = Model()
    model.write([good])
    query = Query(table=PASS, start_ns=START_NS + 1, stop_ns=STOP_NS, fields=("direction", "method", "result"))
    assert bits(rows_of(store.read(query))) == bits(model.read(query))
    store.close()


@pytest.mark.services
def test_rows_beyond_retention_are_refused_in_part(influxd: Influxd) -> None:
    bucket = influxd.create_bucket(retention_s=7200)
    now_ns = time.time_ns()
    old = sample(PASS, 50, start_ns=now_ns - 10**15, stop_ns=now_ns - 9 * 10**14)
    new = sample(PASS, 50, start_ns=now_ns - 10**11, stop_ns=now_ns)
    store = InfluxStore(influx_options(bucket))
    with pytest.raises(StoreRejectedError) as caught:
        store.write([Batch.concatenated([old, new])])
    assert caught.value.partial
    assert store.count(PASS, start_ns=0, stop_ns=now_ns) == 50
    store.close()
    influxd.delete_bucket(bucket.bucket)


@pytest.mark.services
def test_compressed_or_not_the_rows_are_the_same(influx_bucket: Bucket) -> None:
    model = Model()
    store = InfluxStore(replace(influx_options(influx_bucket), gzip=True))
    batch = sample(CHARGER, 3000)
    store.write([batch])
    model.write([batch])
    query = Query(table=CHARGER, start_ns=START_NS, stop_ns=STOP_NS)
    assert bits(rows_of(store.read(query))) == bits(model.read(query))
    assert store.count(CHARGER, start_ns=START_NS, stop_ns=STOP_NS) == len(model.read(query))
    store.close()


@pytest.mark.services
def test_an_influxd_that_was_away_is_used_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Influxd(folder=tmp_path_factory.mktemp("away")) as influxd:
        bucket = influxd.create_bucket()
        store = InfluxStore(influx_options(bucket, timeout_s=5))
        batch = sample(PASS)
        store.write([batch.take(slice(0, 100))])
        influxd.stop()
        for call in (lambda: store.write([batch]), lambda: store.read(everything()), store.ping):
            with pytest.raises(StoreUnavailableError):
                call()
        influxd.start()
        store.write([batch])
        assert store.count(PASS, start_ns=START_NS, stop_ns=STOP_NS) == 300
        store.close()


def test_late_rows_make_no_others_come_twice(tmp_path: Path) -> None:
    """A fault of influxd 2.8: late points in its cache let it give a whole block of 1,000 on disk twice."""
    number = 1440
    whole = Batch(
        DOOR,
        (SeriesKey("jingyuan", "jingyuan-gate-01"),),
        np.zeros(number, np.int32),
        START_NS + np.arange(number) * 60_000_000_000,
        {
            "door": Coded(np.zeros(number, np.int32), DOOR.by_name["door"].labels),
            "tamper": Coded(np.zeros(number, np.int32), DOOR.by_name["tamper"].labels),
            "uptime_s": np.arange(number, dtype=np.float64),
        },
    )
    late = np.zeros(number, np.bool_)
    late[500:520] = True
    stop_ns = START_NS + number * 60_000_000_000
    with Influxd(folder=tmp_path / "influxd", settings={"storage-cache-snapshot-write-cold-duration": "1s"}) as influxd:
        bucket = influxd.create_bucket()
        store = InfluxStore(influx_options(bucket))
        store.write([whole.take(~late)])
        count = (
            f'from(bucket: "{bucket.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
            ' |> filter(fn: (r) => r._field == "door") |> count() |> keep(columns: ["_value"])'
        )
        deadline = time.monotonic() + 30
        while not any((tmp_path / "influxd").rglob("*.tsm")):  # the cache has gone to disk
            assert time.monotonic() < deadline
            time.sleep(0.1)
        store.write([whole.take(late)])
        # Where influxd is mended one day, this says so, and what it asks for can go.
        assert bucket.query(count).split()[-1].endswith(",2420")  # 1,440 and, less the late ones, 1,000 more
        assert store.count(DOOR, start_ns=START_NS, stop_ns=stop_ns) == number
        for few in (False, True):
            assert len(store.read(Query(table=DOOR, start_ns=START_NS, stop_ns=stop_ns, few=few))) == number
        query = Query(table=DOOR, start_ns=START_NS, stop_ns=stop_ns)
        for fields in (None, ("uptime_s",), ()):
            found = store.read(replace(query, fields=fields))
            assert found.time.tolist() == whole.time.tolist()
        assert store.read(replace(query, limit=1200)).time.tolist() == whole.time[-1200:].tolist()
        store.close()
