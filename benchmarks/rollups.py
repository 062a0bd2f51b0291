"""What rollups are worth: `python -m benchmarks.rollups [--days 365]`.

A compound's simulated history goes into a real influxd, and the rollup worker follows it. Asked through the API over
HTTP: a year by the hour; the last day, in turn where there are 10 and where there are 100 days of history; and what
one day of the same statistic takes in Flux over raw readings, of the compound and of all 22. Answers are compared with
those made of raw readings before anything is timed.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.progress import track

from api.app import create_app
from api.options import ApiOptions
from courtyard.server import ApiServer
from devices.columns import Batch, Coded
from devices.inventory import Inventory
from devices.kind import STATUS
from devices.registry import Registry, discover
from rollups.metrics import RollupMetrics
from rollups.worker import Worker, WorkerOptions
from rollups.writelog import WriteLog
from simulators.behaviour import discover as behaviours
from simulators.options import selected
from simulators.source import Source
from store.influx import InfluxOptions, InfluxStore
from tests.services import Bucket, Influxd, free_port

START_NS = 1_735_660_800 * 10**9  # 2025-01-01, midnight in Shanghai
DAY_NS = 86_400 * 10**9
HOUR_NS = DAY_NS // 24
STEP = 5
INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
LATE = 0.01
ASKED = (("occupancy", "gate", "people_inside"), ("usage", "charger", "energy"), ("occupancy", "bin", "fill"))
SHORT, LONG = 10, 100
FLUX = {
    "people_inside": 'filter(fn: (r) => r._measurement == "gate_pass" and r._field == "direction")'
    ' |> map(fn: (r) => ({_time: r._time, compound: r.compound, _value: if r._value == "in" then 1 else if '
    'r._value == "out" then -1 else 0})) |> group(columns: ["compound"]) |> sort(columns: ["_time"])'
    " |> cumulativeSum() |> aggregateWindow(every: 1h, fn: last, createEmpty: false)",
    "energy": 'filter(fn: (r) => r._measurement == "charger_telemetry" and r._field == "energy_wh")'
    " |> difference(nonNegative: true) |> aggregateWindow(every: 1h, fn: sum, createEmpty: false)"
    ' |> group(columns: ["compound", "_time"]) |> sum()',
    "fill": 'filter(fn: (r) => r._measurement == "bin_telemetry" and r._field == "fill")'
    " |> aggregateWindow(every: 1h, fn: (tables=<-, column) => tables |> timeWeightedAvg(unit: 1s))"
    ' |> group(columns: ["compound", "part", "_time"]) |> mean()',
}
console = Console()


class World:
    """A compound, its stores, its API, and a clock that follows its history."""

    def __init__(self, inventory: Inventory, known: Registry, influxd: Influxd, folder: Path) -> None:
        """Begin with nothing."""
        self.now_ns = START_NS
        self.inventory, self.known = inventory, known
        self.bucket, rolled = influxd.create_bucket(), influxd.create_bucket()
        self.raw, self.rolled = _store(self.bucket), _store(rolled)
        folder.mkdir()
        self.log = WriteLog(folder / "log.writelog")
        self.registry = CollectorRegistry()
        self.worker = Worker(
            WorkerOptions(raw_days=3650), known, inventory, self.raw, self.rolled, lambda: [self.log],
            metrics=RollupMetrics(self.registry), clock=lambda: self.now_ns,
        )  # fmt: skip
        self.source = Source(inventory, known, behaviours(known), 22)
        options = ApiOptions(open_access=True)
        self.api = ApiServer(
            create_app(options, inventory, known, self.raw, rolled=self.rolled, clock=lambda: self.now_ns),
            "127.0.0.1", free_port(),
        )  # fmt: skip
        self.unrolled = ApiServer(
            create_app(options, inventory, known, self.raw, clock=lambda: self.now_ns), "127.0.0.1", free_port()
        )
        self.take(list(_online(inventory, known)))

    def take(self, batches: list[Batch]) -> None:
        """What ingest does with rows."""
        self.raw.write(batches)
        self.log.note(batches)

    def history(self, first: int, stop: int, what: str) -> None:
        """Some days more, rolled up."""
        for day in track(range(first, stop, STEP), f"{what} ...", console=Console(stderr=True), transient=True):
            begin, end = (START_NS + each * DAY_NS for each in (day, min(day + STEP, stop)))
            self.take(self.rows(begin, end))
            self.now_ns = end
            self.worker.catch_up()

    def rows(self, begin_ns: int, end_ns: int) -> list[Batch]:
        """The readings of a span."""
        found = self.source.span(begin_ns // 10**6, end_ns // 10**6)
        return [
            Batch(each.table, each.keys, each.series, each.time + np.arange(len(each)) % 1000, each.columns)
            for each in found
        ]

    def counted(self, name: str) -> float:
        """A counter of the worker, over all kinds."""
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == f"courtyard_rollups_{name}" and sample.labels.get("why", "late") == "late"
        )

    def ask(self, api: ApiServer, asked: tuple[str, str, str], start: str) -> bytes:
        """One answer of an API."""
        group, kind, statistic = asked
        (compound,) = self.inventory.compounds
        query = urlencode({"kind": kind, "statistic": statistic, "start": start, "every": "1h"})
        connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=120)
        connection.request("GET", f"/v1/compounds/{compound}/{group}?{query}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(body.decode())
        return body

    def times(self, asked: tuple[str, str, str], start: str, requests: int) -> list[float]:
        """How long answers take, ms."""
        found = []
        self.ask(self.api, asked, start)
        for _ in range(requests):
            begin = time.perf_counter()
            self.ask(self.api, asked, start)
            found.append((time.perf_counter() - begin) * 1000)
        return found


def main() -> int:
    """Fill, compare, measure; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=365, help="length of the history")
    parser.add_argument("--compound", default="jingyuan", help="whose")
    parser.add_argument("--requests", type=int, default=100, help="requests of each question")
    options = parser.parse_args()
    known = discover()
    inventory = selected(Inventory.parse(INVENTORY.read_text(), known), options.compound, "")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        influxd = stack.enter_context(Influxd(folder=folder / "influxd"))
        worlds = {days: World(inventory, known, influxd, folder / str(days)) for days in (SHORT, LONG)}
        for days, world in worlds.items():
            for api in (world.api, world.unrolled):
                api.start()
                stack.callback(api.stop)
            world.history(0, days, f"{days} days")
        flat = {asked[2]: in_turn(worlds, asked, options.requests) for asked in ASKED}
        world = worlds[LONG]
        late(world, LONG)
        world.history(LONG + STEP, options.days, f"{options.days} days")
        for asked in ASKED:
            compare(world, asked)
        fleet = influxd.create_bucket()
        source = Source(Inventory.parse(INVENTORY.read_text(), known), known, behaviours(known), 22)
        number = one_day(fleet, source, world.now_ns)
        report(world, options, flat, fleet)
        console.print(f"(the day of all 22 compounds has {number:,} readings)")
    return 0


def in_turn(worlds: dict[int, World], asked: tuple[str, str, str], requests: int) -> dict[int, float]:
    """The median time of the last day, ms, by length of the history; both are asked in turn, to meet the same noise."""
    found: dict[int, list[float]] = {days: [] for days in worlds}
    for _ in range(requests):
        for days, world in worlds.items():
            found[days] += world.times(asked, "-24h", 1)
    return {days: statistics.median(times) for days, times in found.items()}


def one_day(bucket: Bucket, source: Source, end_ns: int) -> int:
    """Fill a bucket with the readings of the day before an instant; how many there are."""
    store, number = _store(bucket), 0
    for hour in range(24):
        begin = end_ns - DAY_NS + hour * HOUR_NS
        batches = source.span(begin // 10**6, (begin + HOUR_NS) // 10**6)
        store.write([each for each in batches if len(each)])
        number += sum(map(len, batches))
    store.close()
    return number


def late(world: World, day: int) -> None:
    """A day of which one reading in a hundred comes late."""
    begin, end = START_NS + day * DAY_NS, START_NS + (day + STEP) * DAY_NS
    rng = np.random.default_rng(1)
    rows = world.rows(begin, end)
    held = [rng.random(len(each)) < LATE for each in rows]
    world.take([each.take(~mask) for each, mask in zip(rows, held, strict=True)])
    world.now_ns = end
    world.worker.catch_up()
    before = world.counted("cells_total")
    world.take([each.take(mask) for each, mask in zip(rows, held, strict=True) if mask.any()])
    world.worker.catch_up()
    touched, cells = world.counted("late_cells_total"), world.counted("cells_total") - before
    number = sum(int(mask.sum()) for mask in held)
    console.print(
        f"{STEP} days with {number:,} readings ({LATE:.0%}) late: they fall into {touched:,.0f} cells (device and "
        f"table, 15 min); {cells:,.0f} cells rolled up anew, {cells / touched:.2f} times as many"
    )


def compare(world: World, asked: tuple[str, str, str]) -> None:
    """End where rollups do not say what raw readings say."""
    one, other = (list(_values(world.ask(api, asked, "-10d"))) for api in (world.api, world.unrolled))
    if len(one) != len(other) or not np.allclose(one, other, 1e-9, 1e-9, equal_nan=True):
        raise SystemExit(f"{asked}: rollups and raw readings do not agree")


def report(world: World, options: argparse.Namespace, flat: dict[str, dict[int, float]], fleet: Bucket) -> None:
    """Measure and print."""
    for asked in ASKED:
        name = asked[2]
        times = world.times(asked, f"-{options.days}d", options.requests)
        size = len(world.ask(world.api, asked, f"-{options.days}d"))
        middle, last = statistics.median(times), float(np.quantile(times, 0.95))
        short, long = flat[name][SHORT], flat[name][LONG]
        console.print(
            f"{name}: {options.days} days hourly, {size / 1e6:.1f} MB: median {middle:.1f} ms, p95 {last:.1f} ms; "
            f"the last day with {LONG} days of history: {long / short:.2f} times that with {SHORT} "
            f"({long:.1f} and {short:.1f} ms)"
        )
        day = statistics.median(world.times(asked, "-24h", options.requests))
        for whose, bucket in (("the compound", world.bucket), ("all 22", fleet)):
            taken = _flux(bucket, FLUX[name], world.now_ns)
            console.print(
                f"    Flux, one day of raw readings of {whose}: {taken:.1f} ms, {taken / day:.1f} times that day and "
                f"{taken / middle:.1f} times the year"
            )


def _flux(bucket: Bucket, steps: str, now_ns: int) -> float:
    """The median of some runs over the last day, ms."""
    begin, end = (_text(each) for each in (now_ns - DAY_NS, now_ns))
    query = f'from(bucket: "{bucket.bucket}") |> range(start: {begin}, stop: {end}) |> {steps}'
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        bucket.query(query)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def _values(body: bytes) -> Iterator[float]:
    for kind in json.loads(body)["kinds"].values():
        for statistic in kind["statistics"].values():
            for line in statistic["lines"]:
                yield from (np.nan if value is None else value for value in line["values"])
                yield from line["coverage"]


def _online(inventory: Inventory, known: Registry) -> Iterator[Batch]:
    for kind in known.values():
        table = kind.tables[STATUS]
        keys = tuple(key for device in inventory.of_kind(kind.name) for key in device.keys(table))
        if keys:
            online = np.full(len(keys), table.by_name["state"].labels.index("online"), np.int32)
            columns = {
                "state": Coded(online, table.by_name["state"].labels),
                "firmware": Coded(np.zeros(len(keys), np.int32), ("1.0",)),
            }
            time_ns = np.full(len(keys), START_NS, np.int64)
            yield Batch(table, keys, np.arange(len(keys), dtype=np.int32), time_ns, columns)


def _store(bucket: Bucket) -> InfluxStore:
    return InfluxStore(InfluxOptions(url=bucket.url, org=bucket.org, bucket=bucket.bucket, token=bucket.token))


def _text(instant_ns: int) -> str:
    return str(np.datetime64(instant_ns, "ns")) + "Z"


if __name__ == "__main__":
    sys.exit(main())
