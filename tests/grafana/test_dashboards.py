"""The dashboards are built from the kinds and up to date, and count raw readings right, on a real InfluxDB."""

import csv
import io
import json
import time
from collections.abc import Iterator

import pytest

from devices.fields import Field, Signal
from devices.kind import FEWEST_TOLD, Table
from devices.registry import Registry, discover
from grafana import build, flux
from grafana.units import grafana_unit
from rollups.tables import final_lines
from store.influx_setup import InfluxSetup, provision
from tests.services import Bucket, Influxd, ServiceError

MINUTES = 120
COMPOUND = "jingyuan"
DEVICES = 2
BEGIN_NS = (time.time_ns() // 60_000_000_000 - MINUTES) * 60_000_000_000


def _filled(query: str, bucket: Bucket, *, every: str = "15m") -> str:
    """The query with Grafana's variables filled in as Grafana does it."""
    begin, end = BEGIN_NS // 10**9, BEGIN_NS // 10**9 + MINUTES * 60
    values = {
        "v.defaultBucket": json.dumps(bucket.bucket),
        "v.timeRangeStart": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin)),
        "v.timeRangeStop": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)),
        "v.windowPeriod": every,
        "${compound}": COMPOUND,
        "${device:regex}": ".*",
    }
    for name, value in values.items():
        query = query.replace(name, value)
    assert "v." not in query.replace("influxdata/influxdb", "")
    assert "${" not in query
    return query


def _answer(bucket: Bucket, query: str) -> list[dict[str, str]]:
    text = bucket.query(_filled(query, bucket))
    # Tables of different columns come as blocks, each with a header of its own.
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    return [row for block in blocks for row in csv.DictReader(io.StringIO(block))]


def _number(field: Field, at: int) -> float:
    """A value within the range of the field; a counter rises by 7, and is reset halfway."""
    low, high = field.low or 0.0, field.high or 0.0
    if field.signal is Signal.COUNTER:
        return 7.0 * (at if at < MINUTES // 2 else at - MINUTES // 2 + 1)
    return low + (high - low) * (at % 10 + 1) / 20  # never zero: what is, is a gap shown as one


def _field(field: Field, at: int) -> str:
    if field.is_number:
        return f"{field.name}={_number(field, at)}"
    if field.signal is Signal.IDENTITY:
        return f'{field.name}="x{at}"'
    label = field.labels[at % len(field.labels)]
    return f"{field.name}={label}" if field.boolean else f'{field.name}="{label}"'


def _lines(table: Table) -> Iterator[str]:
    for device in range(DEVICES):
        for part in ("p1", "p2") if table.part else ("",):
            tags = f"compound={COMPOUND},device={table.kind}-{device}" + (f",part={part}" if part else "")
            for at in range(MINUTES):
                fields = ",".join(_field(each, at) for each in table.fields)
                if flux.counted(table) == "n":
                    fields = ",".join(filter(None, [fields, "n=1i"]))
                yield f"{table.measurement},{tags} {fields} {BEGIN_NS + at * 60_000_000_000}"


def _series(table: Table) -> int:
    return DEVICES * (2 if table.part else 1)


@pytest.fixture(scope="module")
def written(influxd: Influxd, registry: Registry) -> Iterator[Bucket]:
    """A bucket with a row a minute in every table of every kind, as the store writes them."""
    bucket = influxd.create_bucket()
    for table in registry.tables():
        bucket.write("\n".join(_lines(table)))
    yield bucket
    influxd.delete_bucket(bucket.bucket)


def test_the_files_are_up_to_date() -> None:
    assert build.stale(build.rendered(discover())) == []
    assert build.main(["--check"]) == 0


def test_a_stale_file_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(build, "FOLDER", tmp_path_factory.mktemp("dashboards"))
    monkeypatch.setattr(build, "ALERTS", build.FOLDER / "alerting" / "courtyard.yaml")
    assert build.main(["--check"]) == 1
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    (build.FOLDER / "old.json").write_text("{}")
    assert build.main(["--check"]) == 1
    assert build.main([]) == 0
    assert len(list(build.FOLDER.glob("*.json"))) == 3 + len(discover())


@pytest.mark.parametrize("name", list(discover()))
def test_every_field_and_event_of_a_kind_has_a_panel(name: str) -> None:
    kind = discover()[name]
    board = json.loads(build.rendered(discover())[build.FOLDER / f"kind-{name}.json"])
    queries = "\n".join(target["query"] for panel in board["panels"] for target in panel.get("targets", ()))
    for field in kind.telemetry:
        assert f'r._measurement == "{name}_telemetry" and r._field == "{field.name}"' in queries
    for event in kind.events:
        assert f'r._measurement == "{name}_{event.name}"' in queries
    for line in final_lines(kind):
        assert f'r._field == "{line.value}"' in queries


def test_units_are_known_to_grafana_or_written_out() -> None:
    assert grafana_unit("°C") == "celsius"
    assert grafana_unit("cells") == "suffix: cells"


@pytest.mark.services
def test_events_are_counted_exactly(written: Bucket, registry: Registry) -> None:
    for kind in registry.values():
        for event in kind.events:
            table = kind.tables[event.name]
            rows = _answer(written, flux.count(table))
            assert sum(int(row["_value"]) for row in rows) == MINUTES * _series(table)
            assert all(row["_time"] < row["_stop"] for row in rows if "_stop" in row)
            for field in event.fields:
                if field.signal is Signal.CATEGORY:
                    query = flux.count_by(table, field.name)
                    few = f"\n  |> filter(fn: (r) => r._value >= {FEWEST_TOLD})"
                    assert query.endswith(few) == table.about_people
                    by = _answer(written, query.removesuffix(few))
                    told = [row for row in by if int(row["_value"]) >= FEWEST_TOLD or not table.about_people]
                    assert _counts(_answer(written, query)) == _counts(told)
                    assert sum(int(row["_value"]) for row in by) == MINUTES * _series(table)
                    assert {row["label"] for row in by} == set(field.labels)


def _counts(rows: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    return sorted((row["label"], row["_time"], row["_value"]) for row in rows)


@pytest.mark.services
def test_a_counter_over_a_reset_rises_by_what_was_added(written: Bucket, registry: Registry) -> None:
    counters = [
        (kind.tables["telemetry"], field)
        for kind in registry.values()
        for field in kind.telemetry
        if field.signal is Signal.COUNTER
    ]
    assert counters
    for table, field in counters:
        rows = _answer(written, flux.increase(table, field.name))
        # From 0 to 7 × 59; then a reset to 7 and on to 7 × 60: together 7 × 119 per series.
        assert sum(float(row["_value"]) for row in rows) == pytest.approx(7.0 * (MINUTES - 1) * _series(table))


@pytest.mark.services
def test_a_total_sums_just_the_events_it_names(written: Bucket, registry: Registry) -> None:
    table = registry["charger"].tables["session"]
    field = table.by_name["energy_wh"]
    rows = _answer(written, flux.total(table, "energy_wh", {"phase": ("end",)}))
    ends = [at for at in range(MINUTES) if table.by_name["phase"].labels[at % 2] == "end"]
    assert sum(float(row["_value"]) for row in rows) == pytest.approx(
        sum(_number(field, at) for at in ends) * _series(table)
    )


@pytest.mark.services
def test_a_gap_is_an_empty_window_and_not_a_zero(influx_bucket: Bucket, registry: Registry) -> None:
    table = registry["camera"].tables["telemetry"]
    lines = list(_lines(table))[:MINUTES]
    influx_bucket.write("\n".join(lines[:30] + lines[75:]))  # 45 minutes without a reading: two or three whole windows
    values = [row["_value"] for row in _answer(influx_bucket, flux.mean(table, "fps"))]
    assert values.count("") in {2, 3}
    assert all(float(value) > 0 for value in values if value)


@pytest.mark.services
def test_the_age_and_the_devices_offline_are_right(influx_bucket: Bucket, registry: Registry) -> None:
    kind = registry["gate"]
    now = time.time_ns()
    for device, state in (("a", "offline"), ("b", "online"), ("c", "offline")):
        for ago_s, value in ((90, "online"), (30, state)):
            tags = f"compound={COMPOUND},device={device}"
            influx_bucket.write(f'gate_status,{tags} state="{value}" {now - ago_s * 10**9}')
    offline = _answer(influx_bucket, flux.devices_in(kind.tables["status"], "state", "offline", "Gate"))
    assert [(row["name"], row["_value"]) for row in offline] == [("Gate", "2")]
    age = _answer(influx_bucket, flux.age(kind.tables.values(), "Gate"))
    assert len(age) == 1
    assert 30 <= float(age[0]["_value"]) < 60


@pytest.mark.services
def test_the_token_that_init_makes_for_grafana_reads_and_no_more(
    registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Influxd(folder=tmp_path_factory.mktemp("influxd"), set_up=False) as service:
        setup = InfluxSetup(
            url=service.url,
            org=service.org,
            bucket=service.bucket,
            username=service.username,
            password=service.password,
            admin_token=service.token,
        )
        names = {"url": service.url, "org": service.org, "bucket": service.bucket}
        bucket = Bucket(token=provision(setup).grafana, **names)
        Bucket(token=service.token, **names).write("\n".join(_lines(registry["gate"].tables["pass"])))
        assert [row["_value"] for row in _answer(bucket, flux.compounds())] == [COMPOUND]
        assert _answer(bucket, flux.count(registry["gate"].tables["pass"]))
        with pytest.raises(ServiceError, match=r"401|403"):
            bucket.write("m f=1")
