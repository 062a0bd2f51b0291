"""How fast the core is beside DuckDB and Polars: `python -m benchmarks.core [--rows N] [--repeat N]`.

Sorted rows of 1,000 devices that report about once a minute are reduced to figures per device and hour. All results are
compared before anything is timed; then each contender runs in turn, and the best of some runs counts. Beside the ratios
stands which share of the machine's memory bandwidth the core reaches, measured in the same run by summing an array on
all cores.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from aggregate.counter import counter
from aggregate.gauge import integral, summary
from aggregate.holds import Holds
from aggregate.ragged import Offsets
from aggregate.segments import Segments
from aggregate.state import seconds
from benchmarks._blocks import each_block
from benchmarks._rivals import HOLD_NS, HOUR_NS, Figures, by_duckdb, by_polars
from devices.columns import Times

DEVICES = 1_000
START_NS = 1_767_225_600_000_000_000
LABELS = 3
OURS, DUCKDB, POLARS = "core", "DuckDB", "Polars"
READS = {"mean, min, max": 16, "time-weighted mean": 16, "increase": 16, "state seconds": 12}
"""Bytes of a row that a figure reads, each once."""


def rows_of(rows: int) -> dict[str, NDArray[np.generic]]:
    """Rows sorted by device and time: some late by up to a quarter of a second, some missing, registers that reset."""
    rng = np.random.default_rng(rows)
    minutes = rows // DEVICES
    device = np.repeat(np.arange(DEVICES, dtype=np.int32), minutes)
    minute = np.tile(np.arange(minutes, dtype=np.int64), DEVICES)
    phase = rng.integers(0, 60_000, DEVICES)[device]
    time_ns = START_NS + (minute * 60_000 + phase + rng.integers(0, 250, len(device))) * 1_000_000
    register = np.cumsum(rng.random(len(device)) * 100) % 1e6
    code = np.repeat(rng.integers(0, LABELS, len(device) // 20 + 1, np.int32), 20)[: len(device)]
    kept = rng.random(len(device)) > 0.01
    columns = {
        "device": device,
        "time": time_ns,
        "value": rng.normal(20, 5, len(device)),
        "register": register,
        "code": code,
    }
    return {name: column[kept] for name, column in columns.items()}


def by_core(columns: Mapping[str, NDArray[np.generic]], stop_ns: int) -> Mapping[str, Callable[[], Figures]]:
    """The core's kernels, as the statistics use them."""
    times = np.asarray(columns["time"], np.int64)
    offsets = np.searchsorted(columns["device"], np.arange(DEVICES + 1))
    edges = np.arange(START_NS, stop_ns + 1, HOUR_NS)
    value, register = (np.asarray(columns[name], np.float64) for name in ("value", "register"))
    code = np.asarray(columns["code"], np.int32)

    def blockwise(make: Callable[[Times, Offsets, slice], tuple[NDArray[np.float64], ...]]) -> Figures:
        def block(series: slice) -> tuple[NDArray[np.float64], ...]:
            bounds = offsets[series.start : series.stop + 1]
            rows = slice(int(bounds[0]), int(bounds[-1]))
            return make(times[rows], bounds - bounds[0], rows)

        parts = each_block(offsets, block)
        return {str(place): np.concatenate(each).reshape(-1) for place, each in enumerate(zip(*parts, strict=True))}

    def mean(time: Times, bounds: Offsets, rows: slice) -> tuple[NDArray[np.float64], ...]:
        made = summary(Segments(time, bounds, edges), value[rows])
        return made.total / made.count, made.low, made.high

    def weighted(time: Times, bounds: Offsets, rows: slice) -> tuple[NDArray[np.float64], ...]:
        holds = Holds.sampled(time, bounds, edges, HOLD_NS)
        return (integral(holds, value[rows]) / holds.observed,)

    def increase(time: Times, bounds: Offsets, rows: slice) -> tuple[NDArray[np.float64], ...]:
        return (counter(time, register[rows], bounds, edges, HOLD_NS).increase,)

    def states(time: Times, bounds: Offsets, rows: slice) -> tuple[NDArray[np.float64], ...]:
        holds = Holds.sampled(time, bounds, edges, HOLD_NS)
        return tuple(np.moveaxis(seconds(holds, code[rows], LABELS), -1, 0))

    return {
        "mean, min, max": lambda: blockwise(mean),
        "time-weighted mean": lambda: blockwise(weighted),
        "increase": lambda: blockwise(increase),
        "state seconds": lambda: blockwise(states),
    }


def timed(action: Callable[[], object]) -> float:
    """Seconds of one run."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def bandwidth(megabytes: int = 400) -> float:
    """Bytes/s that all cores read from memory, summing an array."""
    array = np.ones(megabytes * 125_000)
    halves = np.array_split(array, 2)
    with ThreadPoolExecutor(2) as threads:
        best = min(timed(lambda: list(threads.map(np.sum, halves))) for _ in range(5))
    return array.nbytes / best


def check(figure: str, results: Mapping[str, Figures]) -> None:
    """End the run where contenders disagree."""
    ours = list(results[OURS].values())
    for name, found in results.items():
        for one, other in zip(ours, found.values(), strict=True):
            if not np.allclose(one, np.asarray(other, np.float64), rtol=1e-9, atol=1e-6):
                sys.exit(f"{figure}: {name} and the core disagree")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=12_000_000, help="how many rows")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each; the best counts")
    options = parser.parse_args()
    # Whole hours, each with rows of every device.
    stop_ns = START_NS + options.rows // DEVICES // 60 * HOUR_NS
    columns = rows_of(options.rows)
    inside = columns["time"] < stop_ns
    columns = {name: column[inside] for name, column in columns.items()}
    number = len(columns["time"])
    contenders = {
        OURS: by_core(columns, stop_ns),
        DUCKDB: by_duckdb(columns, stop_ns),
        POLARS: by_polars(columns, stop_ns),
    }
    limit = bandwidth()
    table = Table(title=f"{number:,} rows of {DEVICES:,} devices, per device and hour, best of {options.repeat}")
    for head in ("", "core, M rows/s", "DuckDB takes", "Polars takes", "of memory bandwidth"):
        table.add_column(head, justify="right" if head else "left")
    for figure in contenders[OURS]:
        check(figure, {name: each[figure]() for name, each in contenders.items()})
        best = dict.fromkeys(contenders, float("inf"))
        for _ in range(options.repeat):
            for name, each in contenders.items():
                best[name] = min(best[name], timed(each[figure]))
        share = number * READS[figure] / best[OURS] / limit
        ratios = [f"{best[name] / best[OURS]:.1f} ×" for name in (DUCKDB, POLARS)]
        table.add_row(figure, f"{number / best[OURS] / 1e6:,.0f}", *ratios, f"{share:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
