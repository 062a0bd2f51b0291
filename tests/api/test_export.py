"""Files of readings and statistics: whole, whatever their format, and made piece by piece."""

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.ipc as arrow_ipc
import pyarrow.parquet as pq
import pytest

from api import export_readings
from api.app import create_app
from api.files import Format
from api.times import NS_PER_S
from courtyard.server import ApiServer
from devices.columns import NS_PER_MS, Batch
from devices.errors import StoreUnavailableError
from devices.inventory import Inventory
from devices.kind import TELEMETRY
from devices.registry import Registry
from store.protocol import Query, Store
from tests.api.client import KEY, Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, batches
from tests.services import free_port

READ: dict[Format, Callable[[bytes], pa.Table]] = {
    Format.CSV: lambda body: arrow_csv.read_csv(
        io.BytesIO(body), convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True, null_values=[""])
    ),
    Format.PARQUET: lambda body: pq.read_table(io.BytesIO(body)),
    Format.ARROW: lambda body: arrow_ipc.open_stream(body).read_all(),
}


def table(answer: httpx.Response, format_: Format) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == format_.media_type
    assert answer.headers["content-disposition"].endswith(f'.{format_}"')
    found: list[dict[str, Any]] = READ[format_](answer.content).to_pylist()
    return found


@pytest.mark.parametrize("format_", Format)
def test_readings_are_those_of_the_store(client: Client, filled: Store, registry: Registry, format_: Format) -> None:
    for kind in registry.values():
        for each in kind.tables.values():
            stored = filled.read(Query(table=each, start_ns=0, stop_ns=NOW_NS))
            rows = table(
                client.get(f"/v1/export/readings?kind={kind.name}&table={each.name}&start=-2d&format={format_}"),
                format_,
            )
            assert len(rows) == len(stored) > 0, each.measurement
            assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
            names = ["time", "seq", "compound", "device", *([each.part.name] if each.part else []), *each.by_name]
            assert list(rows[0]) == names
            assert {row["device"] for row in rows} == {key.device for key in stored.keys}
            instants = sorted((int(time) // NS_PER_MS, int(time) % NS_PER_MS) for time in stored.time)
            assert sorted((round(row["time"].timestamp() * 1000), row["seq"]) for row in rows) == instants


def test_values_are_what_the_devices_said(client: Client, filled: Store, registry: Registry) -> None:
    each = registry["bin"].tables[TELEMETRY]
    stored = filled.read(Query(table=each, start_ns=0, stop_ns=NOW_NS))
    rows = table(client.get("/v1/export/readings?kind=bin&start=-2d&format=parquet"), Format.PARQUET)
    by_key = {(row["device"], row["stream"], row["time"].timestamp() * 1000): row for row in rows}
    labels = stored.coded("lid").decoded()
    smoke = stored.coded("smoke").decoded()
    for place in range(len(stored)):
        key = stored.keys[stored.series[place]]
        row = by_key[key.device, key.part, stored.time[place] // NS_PER_MS]
        assert row["fill"] == stored.floats("fill")[place]
        assert row["lid"] == labels[place]
        assert row["smoke"] is (smoke[place] == "true")


def test_times_are_those_of_the_compounds_clock(client: Client) -> None:
    text = client.get("/v1/export/readings?kind=gate&compound=jingyuan&start=-2h&fields=door").text
    head, first, *_ = text.splitlines()
    assert head == '"time","seq","compound","device","door"'
    moment = first.split(",")[0].strip('"')
    assert datetime.fromisoformat(moment).utcoffset() is not None
    assert moment.endswith("+08:00")


def test_filters_and_fields(client: Client) -> None:
    rows = table(
        client.get(
            "/v1/export/readings?kind=gate&table=pass&device=jingyuan-gate-01&fields=method,direction&start=-1d"
        ),
        Format.CSV,
    )
    assert rows
    assert {row["device"] for row in rows} == {"jingyuan-gate-01"}
    assert list(rows[0]) == ["time", "seq", "compound", "device", "method", "direction"]
    both = table(client.get("/v1/export/readings?kind=gate&compound=jingyuan&compound=xinyuan&start=-1d"), Format.CSV)
    assert {row["compound"] for row in both} == {"jingyuan", "xinyuan"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("readings", 422, None),
        ("readings?kind=robot", 400, "unknown_kind"),
        ("readings?kind=gate&table=robot", 400, "unknown_table"),
        ("readings?kind=gate&fields=face", 400, "unknown_field"),
        ("readings?kind=gate&compound=nowhere", 404, "unknown_compound"),
        ("readings?kind=gate&device=nobody", 404, "unknown_device"),
        ("readings?kind=gate&device=jingyuan-bin-01", 404, "unknown_device"),
        ("readings?kind=gate&start=-1000d", 400, "span_too_long"),
        ("readings?kind=gate&format=xlsx", 422, None),
        ("statistics?compound=nowhere", 404, "unknown_compound"),
        ("statistics?statistic=rumours", 400, "unknown_statistic"),
        ("statistics?building=1", 400, "unknown_building"),
        ("statistics?every=7m", 400, None),
        ("statistics?compound=jingyuan&building=99", 400, "unknown_building"),
    ],
)
def test_what_cannot_be_made_is_told_before_it_begins(client: Client, path: str, status: int, code: str | None) -> None:
    answer = client.get(f"/v1/export/{path}")
    assert answer.status_code in {status, 400}, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    if code is not None:
        assert answer.json()["code"] == code


@pytest.mark.parametrize("where", ["compound=jingyuan", "compound=jingyuan&building=1", ""])
@pytest.mark.parametrize("format_", Format)
def test_statistics_are_those_that_are_served(client: Client, where: str, format_: Format) -> None:
    rows = table(client.get(f"/v1/export/statistics?{where}&every=6h&format={format_}"), format_)
    found = {(row["group"], row["kind"], row["statistic"], row["label"], row["start"]): row for row in rows}
    assert len(found) == len(rows)
    path = "fleet" if not where else "compounds/jingyuan"
    number = 0
    for group in ("occupancy", "usage", "availability"):
        more = where.removeprefix("compound=jingyuan").removeprefix("&")
        served = client.get(f"/v1/{path}/{group}?every=6h&{more}").json()
        starts = [datetime.fromisoformat(each) for each in served["buckets"]]
        for kind, of_kind in served["kinds"].items():
            for name, statistic in of_kind["statistics"].items():
                for line in statistic["lines"]:
                    for place, start in enumerate(starts):
                        row = next(
                            row
                            for key, row in found.items()
                            if key[:3] == (group, kind, name)
                            and str(key[3]) in {str(line["label"]), str(_number(line["label"]))}
                            and key[4] == start
                        )
                        assert row["value"] == pytest.approx(line["values"][place], nan_ok=True)
                        assert row["coverage"] == pytest.approx(line["coverage"][place])
                        assert row["unit"] in {statistic["unit"], _number(statistic["unit"])}
                        number += 1
    assert number == len(rows)


def _number(text: str | None) -> object:
    """What CSV makes of a text that looks like a number."""
    return int(text) if text is not None and text.isdigit() else text


class Windows(MemoryStore):
    """Counts what is read at once, and fails after a while."""

    def __init__(self, fail_after: int) -> None:
        """Fail in the read after so many."""
        super().__init__()
        self.sizes: list[int] = []
        self.fail_after = fail_after

    def read(self, query: Query) -> Batch:
        """See `Store.read`."""
        if len(self.sizes) >= self.fail_after:
            raise StoreUnavailableError("the store went away")
        found = super().read(query)
        self.sizes.append(len(found))
        return found


@pytest.fixture
def windows(registry: Registry, small: Inventory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Windows]:
    monkeypatch.setattr(export_readings, "_ROWS", 50)
    monkeypatch.setattr(export_readings, "_FIRST_NS", 600 * NS_PER_S)
    store = Windows(fail_after=10_000)
    store.write(list(batches(small, registry)))
    yield store
    store.close()


def test_a_file_is_never_whole_in_memory(windows: Windows, registry: Registry, small: Inventory) -> None:
    with Client(create_app(OPTIONS, small, registry, windows, clock=Clock())) as client:
        rows = table(client.get("/v1/export/readings?kind=gate&start=-1d"), Format.CSV)
    assert sum(windows.sizes) == len(rows) > 1000
    assert max(windows.sizes) < len(rows) / 10


def test_a_file_that_cannot_be_ended_is_cut(windows: Windows, registry: Registry, small: Inventory) -> None:
    server = ApiServer(create_app(OPTIONS, small, registry, windows, clock=Clock()), "127.0.0.1", free_port())
    server.start()
    asked = f"{server.url}/v1/export/readings?kind=gate&start=-1d"
    windows.fail_after = 5
    with httpx.stream("GET", asked, headers={"X-API-Key": KEY}) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    refused = httpx.get(asked, headers={"X-API-Key": KEY})
    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    server.stop()
