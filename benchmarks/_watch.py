"""What a run costs, seen from outside: processor time and memory from /proc, and when the last reading is stored."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks._load import SENTINEL, Load
from tests.services import Bucket

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_ESTABLISHED = "01"
_LOOK_S = 0.25
_PATIENCE_S = 600.0
_MEASUREMENT = "charger_telemetry"


class BenchmarkError(Exception):
    """A contender did not do what it was asked to; nothing can be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a bucket holds, to compare contenders by.

    Attributes:
        rows: number of rows.
        soc: how many of them have the optional field.
        power_w: sum of their power.
    """

    rows: int
    soc: int
    power_w: float


def family(pid: int) -> list[int]:
    """A process and all its descendants that are alive."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat(int(entry.name))
            if stat:
                parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def cpu_s(pid: int) -> float:
    """The processor time (user and system) that a process and its descendants have used, in seconds."""
    used = 0
    for each in family(pid):
        stat = _stat(each)
        used += sum(map(int, stat[11:15])) if stat else 0
    return used * _TICK_S


def peak_rss_mb(pid: int) -> float:
    """The largest memory that a process and its descendants have held, each at its own worst time, in MB."""
    total = 0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
        except OSError:
            continue  # it has ended
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total * 1024 / 1e6


def await_connection(port: int, pid: int) -> float:
    """Wait until someone is connected to a port of loopback that nobody was connected to; the time on the clock."""
    wanted = f":{port:04X}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, _, remote, state, *_ = line.split()
            if remote.endswith(wanted) and state == _ESTABLISHED:
                return time.perf_counter()
        if not _stat(pid):
            break
        time.sleep(0.002)
    raise BenchmarkError("the contender did not connect to the broker")


def await_stored(bucket: Bucket, load: Load, pid: int) -> tuple[float, Stored]:
    """Wait until every reading of a load can be queried; the time on the clock, and what is stored."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        await_device(bucket, load, SENTINEL, pid)
        seen = time.perf_counter()
        found = stored(bucket, load)
        if found.rows >= load.readings:  # the last one is mostly, but not always, stored last
            return seen, found
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{found.rows:,} of {load.readings:,} readings were stored")


def await_device(bucket: Bucket, load: Load, device: str, pid: int) -> None:
    """Wait until something of a device can be queried."""
    deadline = time.monotonic() + _PATIENCE_S
    flux = _flux(bucket, load, ("power_w",), f'|> filter(fn: (r) => r.device == "{device}")')
    while device not in bucket.query(flux):
        if time.monotonic() > deadline or not _stat(pid):
            raise BenchmarkError(f"{stored(bucket, load).rows:,} of {load.readings:,} readings were stored")
        time.sleep(_LOOK_S)


def stored(bucket: Bucket, load: Load) -> Stored:
    """What a bucket holds."""
    counts = _answer(bucket, load, ("power_w", "soc"), "|> count()")
    sums = _answer(bucket, load, ("power_w",), "|> sum()")
    return Stored(rows=int(counts.get("power_w", 0)), soc=int(counts.get("soc", 0)), power_w=sums.get("power_w", 0.0))


def await_quiet(pid: int) -> None:
    """Wait until a process has hardly anything to do: influxd goes on sorting for a while."""
    before = cpu_s(pid)
    for _ in range(60):
        time.sleep(0.5)
        now = cpu_s(pid)
        if now - before < 0.05:
            return
        before = now


def _answer(bucket: Bucket, load: Load, fields: tuple[str, ...], reduce: str) -> dict[str, float]:
    """A reduction of fields over all series."""
    # Tables are reduced one by one before they are put together: InfluxDB does so much faster.
    steps = f'{reduce} |> group(columns: ["_field"]) |> sum() |> keep(columns: ["_field", "_value"])'
    flux = _flux(bucket, load, fields, steps)
    lines = [line.split(",") for line in bucket.query(flux, within_s=_PATIENCE_S).split()]
    return {line[lines[0].index("_field")]: float(line[lines[0].index("_value")]) for line in lines[1:]}


def _flux(bucket: Bucket, load: Load, fields: tuple[str, ...], steps: str) -> str:
    wanted = " or ".join(f'r._field == "{field}"' for field in fields)
    return (
        f'from(bucket: "{bucket.bucket}") |> range(start: time(v: {load.since_ns}))'
        f' |> filter(fn: (r) => r._measurement == "{_MEASUREMENT}" and ({wanted})) {steps}'
    )


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] == "Z" else fields
