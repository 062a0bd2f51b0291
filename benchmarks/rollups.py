"""What rollups are worth: `python -m benchmarks.rollups [--days 365]`.

A compound's simulated history goes into a real influxd, and the rollup worker follows it. Asked through the API over
HTTP: a year by the hour; the last day, after 10 and after 100 days of history; and what one day of the same statistic
takes in Flux over raw readings. Answers are compared with those made of raw readings before anything is timed.
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
STEP = 5
INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
LATE = 0.01
ASKED = (("occupancy", "gate", "people_inside"), ("usage", "charger", "energy"), ("occupancy", "bin", "fill"))
FLUX = {
    "energy": 'filter(fn: (r) => r._measurement == "charger_telemetry" and r._field == "energy_wh")'
    " |> difference(nonNegative: true) |> aggregateWindow(every: 1h, fn: sum, createEmpty: false)"
    ' |> group(columns: ["_time"]) |> sum()',
    "fill": 'filter(fn: (r) => r._measurement == "bin_telemetry" and r._field == "fill")'
    " |> aggregateWindow(every: 1h, fn: (tables=<-, column) => tables |> timeWeightedAvg(unit: 1s))"
    ' |> group(columns: ["part", "_time"]) |> mean()',
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
        world = World(inventory, known, influxd, folder)
        for api in (world.api, world.unrolled):
            api.start()
            stack.callback(api.stop)
        short = {}
        done = 0
        for days in (10, 100):
            world.history(done, days, f"{days} days")
            done = days
            short[days] = {asked[2]: statistics.median(world.times(asked, "-24h", options.requests)) for asked in ASKED}
        late(world, done)
        world.history(done + STEP, options.days, f"{options.days} days")
        for asked in ASKED:
            compare(world, asked)
        report(world, options, short)
    return 0


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


def report(world: World, options: argparse.Namespace, short: dict[int, dict[str, float]]) -> None:
    """Measure and print."""
    for asked in ASKED:
        name = asked[2]
        times = world.times(asked, f"-{options.days}d", options.requests)
        size = len(world.ask(world.api, asked, f"-{options.days}d"))
        middle, last = statistics.median(times), float(np.quantile(times, 0.95))
        flat = short[100][name] / short[10][name]
        console.print(
            f"{name}: {options.days} days hourly, {size / 1e6:.1f} MB: median {middle:.1f} ms, p95 {last:.1f} ms; "
            f"the last day after 100 days of history: {flat:.2f} times that after 10 "
            f"({short[10][name]:.1f} and {short[100][name]:.1f} ms)"
        )
        if name in FLUX:
            taken = _flux(world, FLUX[name])
            console.print(f"    Flux, one day of raw readings: {taken:.1f} ms, {taken / middle:.2f} times the year")


def _flux(world: World, steps: str) -> float:
    """The median of some runs over the last day, ms."""
    begin, end = (_text(each) for each in (world.now_ns - DAY_NS, world.now_ns))
    query = f'from(bucket: "{world.bucket.bucket}") |> range(start: {begin}, stop: {end}) |> {steps}'
    taken = []
    for _ in range(7):
        begun = time.perf_counter()
        world.bucket.query(query)
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
