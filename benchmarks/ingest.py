"""How fast readings get from the broker into InfluxDB.

Three contenders in one run, on the same mosquitto, the same influxd (a fresh bucket each) and the same payloads:
Courtyard's ingest, a textbook pipeline (paho, json, `Point`, batching write API) and Telegraf 1.37 (mqtt_consumer). For
each run the contender's persistent session is made and filled while the contender is away, so that publishing takes no
processor time from anyone; the clock runs from its connection to the broker until the last reading can be queried.
What the contenders stored is compared before any figure is printed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks._alone import write_alone
from benchmarks._contenders import OURS, TELEGRAF, TEXTBOOK, Contender, Course, telegraf_binary
from benchmarks._load import PARTS, Load, inventory_text, load, make_session, publish
from benchmarks._watch import (
    BenchmarkError,
    Stored,
    await_connection,
    await_device,
    await_quiet,
    await_stored,
    cpu_s,
    peak_rss_mb,
    stored,
)
from devices.inventory import Inventory
from devices.registry import discover
from tests.services import Influxd, Mosquitto

ALL = (OURS, TEXTBOOK, TELEGRAF)
ALONE = "influxd alone"
SECTIONS = ("speed", "flat", "backlog")
_CLOSE = 1e-9  # sums of the same numbers in another order


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a contender.

    Attributes:
        rate: readings/s from the connection until the last reading could be queried.
        cpu_us: processor time of the contender's processes per reading, µs.
        broker_us: that of the broker.
        influxd_us: that of InfluxDB.
        rss_mb: the most memory that its processes have held, MB.
        result: what it stored.
    """

    rate: float
    cpu_us: float
    broker_us: float
    influxd_us: float
    rss_mb: float
    result: Stored


class Ground:
    """The services, a folder and an inventory: where runs take place."""

    def __init__(self, broker: Mosquitto, influxd: Influxd, folder: Path, devices: int) -> None:
        """Use running services."""
        self._broker = broker
        self._influxd = influxd
        self._folder = folder
        self._kinds = discover()
        folder.mkdir()
        self._path = folder / "inventory.yaml"
        self._path.write_text(inventory_text(devices))
        self._inventory = Inventory.parse(self._path.read_text(), self._kinds)
        self._runs = 0

    def load(self, readings: int, per_message: int) -> Load:
        """What is sent."""
        return load(self._kinds, self._inventory, readings=readings, per_message=per_message)

    def run(self, contender: Contender, given: Load, per_message: int, warm: int = 0) -> Run:
        """Let a contender bring a load into a fresh bucket; of the first `warm` messages nothing is measured."""
        broker, influxd = self._broker, self._influxd
        assert broker.process is not None  # noqa: S101  (for the type checker: both run)
        assert influxd.process is not None  # noqa: S101
        self._runs += 1
        bucket = influxd.create_bucket()
        make_session(broker.port, contender.name)
        publish(broker.port, given.messages[:warm] if warm else given.messages)
        await_quiet(influxd.process.pid)
        course = Course(
            broker=broker,
            bucket=bucket,
            inventory=self._path,
            folder=self._folder / str(self._runs),
            per_message=per_message,
        )
        pids = (broker.process.pid, influxd.process.pid)
        with contender.running(course) as process:
            began = await_connection(broker.port, process.pid)
            if warm:
                await_device(bucket, given, given.messages[warm - 1].topic.split("/")[3], process.pid)
            before = [cpu_s(pid) for pid in (process.pid, *pids)]
            if warm:
                began = time.perf_counter()
                publish(broker.port, given.messages[warm:])
            ended, result = await_stored(bucket, given, process.pid)
            used = [cpu_s(pid) - other for pid, other in zip((process.pid, *pids), before, strict=True)]
            rss_mb = peak_rss_mb(process.pid)
        influxd.delete_bucket(bucket.bucket)
        measured = given.readings - warm * per_message
        cpu_us, broker_us, influxd_us = (each / measured * 1e6 for each in used)
        run = Run(
            rate=measured / (ended - began),
            cpu_us=cpu_us,
            broker_us=broker_us,
            influxd_us=influxd_us,
            rss_mb=rss_mb,
            result=result,
        )
        check(contender.name, run, given)
        return run

    def run_alone(self, given: Load) -> Run:
        """Write a load into a fresh bucket from memory."""
        assert self._influxd.process is not None  # noqa: S101  (for the type checker: it runs)
        pid = self._influxd.process.pid
        bucket = self._influxd.create_bucket()
        await_quiet(pid)
        before = cpu_s(pid)
        took = write_alone(bucket, given)
        influxd_us = (cpu_s(pid) - before) / given.readings * 1e6
        result = stored(bucket, given)
        self._influxd.delete_bucket(bucket.bucket)
        run = Run(
            rate=given.readings / took, cpu_us=0.0, broker_us=0.0, influxd_us=influxd_us, rss_mb=0.0, result=result
        )
        check(ALONE, run, given)
        return run


def check(name: str, run: Run, given: Load) -> None:
    """Refuse a run that stored anything else than was sent.

    Raises:
        BenchmarkError: it did.
    """
    print(f"  {name}: {run.rate:,.0f} readings/s", file=sys.stderr)
    found = run.result
    if found.rows != given.readings or found.soc != given.soc or abs(found.power_w / given.power_w - 1) > _CLOSE:
        raise BenchmarkError(f"{name} stored {found}, of {given.readings:,} readings")


def middle(runs: Sequence[Run], name: str) -> float:
    """The median of one figure."""
    return statistics.median(float(getattr(run, name)) for run in runs)


def table(title: str, rows: Mapping[str, Sequence[Run]]) -> None:
    """Print the medians; the first row is what the others are compared with."""
    grid = Table(title=title)
    for head in ("", "readings/s", "CPU µs", "of the broker", "of influxd", "peak RSS MB", "ratio"):
        grid.add_column(head, justify="right" if head else "left", no_wrap=True)
    first = middle(next(iter(rows.values())), "rate")
    for name, runs in rows.items():
        rate = middle(runs, "rate")
        figures = [middle(runs, each) for each in ("cpu_us", "broker_us", "influxd_us")]
        grid.add_row(
            name,
            f"{rate:,.0f}",
            *(f"{each:.1f}" for each in figures),
            f"{middle(runs, 'rss_mb'):,.0f}",
            f"{first / rate:.2f}",
        )
    Console().print(grid)


def speed(ground: Ground, per_message: int, readings: int, repeat: int) -> None:
    """Run all contenders in turn, and InfluxDB alone; print how many times faster ours is."""
    given = ground.load(readings, per_message)
    runs: dict[str, list[Run]] = {name: [] for name in (*(each.name for each in ALL), ALONE)}
    for _ in range(repeat):
        for each in ALL:
            runs[each.name].append(ground.run(each, given, per_message))
        runs[ALONE].append(ground.run_alone(given))
    table(f"{per_message} per message, {given.readings:,} readings, CPU per reading, median of {repeat}", runs)


def flat(grounds: Mapping[int, Ground], readings: int, repeat: int) -> None:
    """Print how the processor time of a reading depends on the number of devices, once each was heard."""
    rows: dict[str, list[Run]] = {f"{devices:,} devices": [] for devices in grounds}
    loads = {devices: ground.load(readings + PARTS * devices, 1) for devices, ground in grounds.items()}
    for _ in range(repeat):
        for (devices, ground), runs in zip(grounds.items(), rows.values(), strict=True):
            runs.append(ground.run(OURS, loads[devices], 1, warm=PARTS * devices))
    table(f"ours, {readings:,} readings, one per message, median of {repeat}", rows)
    first, *others = (middle(runs, "cpu_us") for runs in rows.values())
    for devices, other in zip(list(grounds)[1:], others, strict=True):
        print(f"processor time of a reading at {devices:,} devices: {other / first:.2f} times that at {min(grounds):,}")


def backlog(ground: Ground, readings: int) -> None:
    """Print how much memory a backlog at the broker takes."""
    given = ground.load(readings, 1)
    table(f"a backlog of {readings:,} messages", {each.name: [ground.run(each, given, 1)] for each in (OURS, TELEGRAF)})


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=200_000, help="one per message; four times as many at 50")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the median counts")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS, help="parts to run")
    parser.add_argument("--devices", type=int, nargs=2, default=[1000, 100_000], help="for the part `flat`")
    parser.add_argument("--backlog", type=int, default=1_000_000, help="messages, for the part `backlog`")
    options = parser.parse_args()
    telegraf_binary()  # built before anything runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Mosquitto(folder=folder / "mosquitto", settings={"autosave_interval": "0"}) as broker,
            Influxd(folder=folder / "influxd") as influxd,
        ):
            few, many = (Ground(broker, influxd, folder / str(devices), devices) for devices in options.devices)
            if "speed" in options.only:
                speed(few, 1, options.readings, options.repeat)
                speed(few, 50, 4 * options.readings, options.repeat)
            if "flat" in options.only:
                flat(dict(zip(options.devices, (few, many), strict=True)), 4 * options.readings, options.repeat)
            if "backlog" in options.only:
                backlog(few, options.backlog)


if __name__ == "__main__":
    main()
