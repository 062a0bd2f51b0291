"""Run everything on the real mosquitto and influxd, without Docker: what docker-compose.yml runs, on loopback.

scripts/stack                        simulated devices from a day ago on, then live; until Ctrl-C; keeps its data
scripts/stack --verify --minutes 5   five minutes at 60 × real time on empty data, then compares the rows in InfluxDB
                                     with the readings that were acknowledged; exit status 1 where they differ
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType, MappingProxyType
from urllib.error import URLError

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table as Grid

from devices.registry import discover
from grafana import flux
from scripts.parts import ROOT, Part, StackError, part
from tests.services import Bucket, Influxd, Mosquitto, ServiceError, free_port

CONSOLE = Console(stderr=True)
SPEED = 60
MINUTES = 5
START_S = 60.0
STILL_S = 30.0
"""How long the rows may stand still before the comparison gives up, in seconds."""


@dataclass(frozen=True)
class Stack:
    """Everything but the simulators, running."""

    folder: Path
    environment: Mapping[str, str]
    bucket: Bucket
    api: str
    ingest: Part
    rollups: Part
    alarms: Part
    parts: tuple[Part, ...]

    def check(self) -> None:
        """Raise where a part has ended by itself."""
        for each in self.parts:
            each.check()


def main() -> int:
    """Run the stack as the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verify", action="store_true", help="compare what was published with what is stored")
    parser.add_argument("--minutes", type=float, help=f"end after so many minutes ({MINUTES} with --verify)")
    parser.add_argument("--speed", type=float, help=f"multiple of real time ({SPEED} with --minutes or --verify)")
    parser.add_argument("--batch", type=int, default=1, help="readings of one device in one message")
    parser.add_argument("--seed", type=int, default=22, help="seed of the simulated devices")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "stack", help="where data and logs are kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(options)
    except (StackError, ServiceError) as exc:
        CONSOLE.print(f"[red]stack:[/red] {escape(str(exc))}", highlight=False)
        return 1
    except KeyboardInterrupt:
        CONSOLE.print("stack: ended")
        return 130 if options.verify else 0


def run(options: argparse.Namespace) -> int:
    """Start all parts, run the simulators, and where asked to, verify; the exit status."""
    if not options.verify:
        return _run_in(options.folder.resolve(), options)
    folder = Path(tempfile.mkdtemp(prefix="courtyard-stack-"))  # empty; kept where something went wrong, for its logs
    status = _run_in(folder, options)
    if status == 0:
        shutil.rmtree(folder)
    return status


def _run_in(folder: Path, options: argparse.Namespace) -> int:
    summary = folder / "simulators.json"
    with ExitStack() as context:
        stack = context.enter_context(started(folder))
        CONSOLE.print(f"[bold]Courtyard[/bold]  {stack.api}  ·  logs and data in {folder}", soft_wrap=True)
        CONSOLE.print(
            f"curl -H 'X-API-Key: {stack.environment['COURTYARD_API_KEY']}' {stack.api}/v1/compounds", soft_wrap=True
        )
        times, seconds = _schedule(options, summary)
        command = ["-m", "simulators", *times, "--batch", str(options.batch), "--seed", str(options.seed)]
        command += ["--connections", "compound", "--summary", str(summary)]
        simulators = context.enter_context(part("simulators", command, folder, stack.environment))
        if seconds is None:
            CONSOLE.print("simulated devices publish; Ctrl-C ends everything, and a new start goes on")
        watch(stack, simulators, seconds)
        return verify(stack, json.loads(summary.read_text())) if options.verify else 0


def _schedule(options: argparse.Namespace, summary: Path) -> tuple[list[str], float | None]:
    """When the simulated clock begins, ends, and how fast it runs; and how long that takes in seconds, if it ends."""
    now = datetime.now(UTC)
    if options.verify or options.minutes is not None or options.speed is not None:
        # A clock that runs ahead of the real one would be refused as a wrong one: it begins in the past, so far that it
        # arrives at the present when the time is over.
        seconds, speed = 60 * (options.minutes or MINUTES), options.speed or SPEED
        begin = now - timedelta(seconds=seconds * speed)
        return ["--from", begin.isoformat(), "--to", now.isoformat(), "--speed", f"{speed:g}"], seconds
    begin = now - timedelta(days=1)
    if summary.exists():  # go on where the last run ended, so that nothing happens twice
        last_ms = json.loads(summary.read_text())["last_reading_ms"] or 0
        # Then the devices were said to be offline: they come back after it.
        ended = datetime.fromtimestamp(max(last_ms / 1000, summary.stat().st_mtime) + 1, UTC)
        begin = max(now - timedelta(days=7), ended)
    return ["--from", min(begin, now).isoformat(), "--speed", "max"], None


@contextmanager
def started(folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Stack]:
    """The real services, set up by `courtyard init`, with all roles of `courtyard` on them.

    Args:
        folder: where data and logs are kept.
        settings: more of the environment, for all roles.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = _secrets(folder / "secrets.json")
    with ExitStack() as context:
        mosquitto = context.enter_context(Mosquitto(folder=folder / "mosquitto"))
        influxd = Influxd(folder=folder / "influxd", set_up=False, bucket="courtyard", token=kept["admin_token"])
        context.enter_context(influxd)
        tokens = folder / "courtyard" / "tokens"
        # Nothing of the caller's settings may lead to other services than these.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
        environment |= mosquitto.environment() | {
            "COURTYARD_STORE": "influx",
            "COURTYARD_INFLUX_URL": influxd.url,
            "COURTYARD_INFLUX_ORG": influxd.org,
            "COURTYARD_INFLUX_BUCKET": influxd.bucket,
            "COURTYARD_DATA_DIR": str(folder / "courtyard"),
            "COURTYARD_API_PORT": str(free_port()),
            "COURTYARD_API_KEY": kept["api_key"],
            "COURTYARD_METRICS_PORT": str(free_port()),
            "COURTYARD_ROLLUPS_METRICS_PORT": str(free_port()),
            "COURTYARD_ALARMS_METRICS_PORT": str(free_port()),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        _init(environment, kept)
        stack_parts = []
        for name, command in (
            ("ingest", ["ingest"]),
            ("rollups", ["rollups", "run"]),
            ("alarms", ["alarms", "run"]),
            ("api", ["api"]),
        ):
            token = tokens / ("api" if name == "alarms" else name)
            own = {**environment, "COURTYARD_INFLUX_TOKEN_FILE": str(token)}
            stack_parts.append(context.enter_context(part(name, ["-m", "courtyard", *command], folder, own)))
        ingest, rollups, alarms, api = stack_parts
        _await(ingest, f"http://127.0.0.1:{environment['COURTYARD_METRICS_PORT']}/metrics")
        address = f"http://127.0.0.1:{environment['COURTYARD_API_PORT']}"
        _await(api, f"{address}/health")
        bucket = Bucket(url=influxd.url, org=influxd.org, bucket=influxd.bucket, token=kept["admin_token"])
        yield Stack(folder, environment, bucket, address, ingest, rollups, alarms, (ingest, rollups, alarms, api))


def watch(stack: Stack, simulators: Part, seconds: float | None) -> None:
    """Show what is stored until the simulators end; without `seconds` they run until Ctrl-C."""
    began = time.monotonic()
    with Live(console=CONSOLE, refresh_per_second=2, transient=True) as live:
        while simulators.process.poll() is None:
            stack.check()
            past = time.monotonic() - began
            of = f" of {seconds:.0f}" if seconds else ""
            live.update(f"{past:.0f}{of} s: {sum(stored(stack.bucket).values()):,} readings stored")
            time.sleep(2 if seconds else 10)
    if simulators.process.returncode or seconds is None:
        simulators.check()


def stored(bucket: Bucket) -> dict[str, int]:
    """The rows of every table in InfluxDB, counted by Flux rather than by our own store."""
    counts = {}
    for table in discover().tables():
        field = flux.counted(table)
        answer = bucket.query(
            f'from(bucket: "{bucket.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
            f' |> filter(fn: (r) => r._measurement == "{table.measurement}" and r._field == "{field}")'
            # influxd 2.8 gives some points twice while late ones wait in its cache.
            ' |> unique(column: "_time") |> count() |> group() |> sum() |> keep(columns: ["_value"])'
        )
        rows = answer.split()
        counts[table.measurement] = int(rows[1].rsplit(",", 1)[1]) if len(rows) > 1 else 0
    return counts


def verify(stack: Stack, summary: Mapping[str, Mapping[str, int]]) -> int:
    """Compare, table by table, what was acknowledged to the devices with what is stored; the exit status."""
    names = [table.measurement for table in discover().tables()]
    published, acknowledged = (
        {name: summary[which].get(name, 0) for name in names} for which in ("published", "acknowledged")
    )
    rows, changed = stored(stack.bucket), time.monotonic()
    while rows != acknowledged and time.monotonic() - changed < STILL_S:
        time.sleep(1)
        stack.check()
        now = stored(stack.bucket)
        if now != rows:
            rows, changed = now, time.monotonic()
    # Whatever ingest still held it writes before it ends; that must change nothing.
    status = stack.ingest.end()
    rows = stored(stack.bucket)
    grid = Grid("table", "published", "acknowledged", "stored", "difference", title="Readings")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name in names:
        difference = rows[name] - acknowledged[name]
        cells = f"{published[name]:,}", f"{acknowledged[name]:,}", f"{rows[name]:,}"
        grid.add_row(name, *cells, f"{difference:+,}" if difference else "")
    grid.add_section()
    grid.add_row("all", *(f"{sum(each.values()):,}" for each in (published, acknowledged, rows)))
    Console().print(grid)
    if status:
        raise StackError(f"ingest ended with status {status}; see {stack.ingest.log}")
    if not sum(published.values()):
        raise StackError("nothing was published")
    if not published == acknowledged == rows:
        CONSOLE.print("[red]they differ[/red]")
        return 1
    CONSOLE.print("[green]equal, exactly[/green]")
    return 0


def _init(environment: Mapping[str, str], kept: Mapping[str, str]) -> None:
    admin = {
        "COURTYARD_INFLUX_ADMIN_PASSWORD": kept["admin_password"],
        "COURTYARD_INFLUX_ADMIN_TOKEN": kept["admin_token"],
    }
    command = [sys.executable, "-m", "courtyard", "init"]
    done = subprocess.run(
        command, cwd=ROOT, env={**environment, **admin}, capture_output=True, text=True, check=False, timeout=START_S
    )
    if done.returncode:
        raise StackError(f"courtyard init failed:\n{done.stdout}{done.stderr}")


def _await(waited: Part, url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        waited.check()
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  # nosec B310
        except (URLError, TimeoutError, ConnectionError) as exc:
            if time.monotonic() > deadline:
                raise StackError(f"{waited.name} does not answer at {url}: {exc}; see {waited.log}") from exc
            time.sleep(0.1)
        else:
            return


def _secrets(path: Path) -> dict[str, str]:
    """The secrets that belong to the data of a folder, made at its first start."""
    if not path.exists():
        made = {name: secrets.token_urlsafe(24) for name in ("admin_password", "admin_token", "api_key")}
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
