"""How fast the stores take and give rows: `python -m benchmarks.store [--rows N] [--only duck|influx]`.

Both stores get the same rows of 500 series, in batches as ingest writes them; what they give back is compared before
anything is timed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from devices.columns import Batch, Coded, Column, SeriesKey
from devices.fields import Field
from devices.kind import Table
from devices.registry import discover
from store.align import compacted
from store.duck import DuckStore
from store.influx import InfluxOptions, InfluxStore
from store.lines import encode
from store.protocol import Query, Store
from tests.services import Influxd

START_NS = 1_767_225_600_000_000_000
MINUTE_NS = 60_000_000_000
SERIES = 500
BATCH_ROWS = 5_000


def rows_of(table: Table, first: int, rows: int) -> Batch:
    """Rows `first` to `first + rows` of an endless report: every series once a minute, all interleaved."""
    rng = np.random.default_rng([first, rows])
    number = np.arange(first, first + rows)
    keys = tuple(
        SeriesKey(f"compound-{each % 22}", f"compound-{each % 22}-{table.kind}-{each // 2:03d}", str(each % 2 + 1))
        for each in range(SERIES)
    )
    time_ns = START_NS + number // SERIES * MINUTE_NS + rng.integers(0, 1000, rows) * 1_000_000 + number % 1_000_000
    columns = {field.name: _column(field, rows, rng) for field in table.fields}
    return compacted(Batch(table, keys, (number % SERIES).astype(np.int32), time_ns, columns))


def _column(field: Field, rows: int, rng: np.random.Generator) -> Column:
    if field.is_number:
        numbers = np.round(rng.random(rows) * min(field.high or 1.0, 1e4), 2)
        return numbers if field.required else np.where(rng.random(rows) < 0.5, np.nan, numbers)
    labels = field.labels or tuple(f"id-{each}" for each in range(100))
    return Coded(rng.integers(0, len(labels), rows, np.int32), labels)


def timed(what: str, rows: int, action: Callable[[], object], repeat: int = 3) -> None:
    """Print the best of some runs."""
    best = float("inf")
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begin)
    print(f"  {what:58s} {best * 1e3:9.1f} ms {rows / best:13,.0f} rows/s")


def batches(table: Table, first: int, rows: int) -> Iterator[Batch]:
    """As many batches as hold `rows` rows."""
    for begin in range(first, first + rows, BATCH_ROWS):
        yield rows_of(table, begin, BATCH_ROWS)


def _write_each(store: Store, batches: list[Batch]) -> None:
    for batch in batches:
        store.write([batch])


def written(store: Store, table: Table, first: int, rows: int) -> float:
    """Write rows in batches; the seconds that the store took."""
    spent = 0.0
    for batch in batches(table, first, rows):
        begin = time.perf_counter()
        store.write([batch])
        spent += time.perf_counter() - begin
    return spent


def bench(store: Store, rows: int) -> None:
    """Time one store."""
    kinds = discover()
    table = kinds["charger"].tables["telemetry"]
    fields = ("power_w", "energy_wh", "status")
    spent = written(store, table, 0, rows)
    print(f"  {'write, 500 series interleaved, 5,000 a batch':58s} {'':9s}    {rows / spent:13,.0f} rows/s")
    probe = store.read(Query(table=table, start_ns=START_NS, stop_ns=START_NS + 10 * MINUTE_NS))
    expected = rows_of(table, 0, 10 * SERIES)
    if len(probe) != len(expected) or np.nansum(probe.floats("power_w")) != np.nansum(expected.floats("power_w")):
        sys.exit("the store gives back other rows than were written")

    more = batches(table, rows, 20 * BATCH_ROWS)
    timed("write, on top of them", BATCH_ROWS, lambda: store.write([next(more)]), 20)
    again = list(batches(table, rows // 2, 4 * BATCH_ROWS))
    timed("write again what is there", 4 * BATCH_ROWS, lambda: _write_each(store, again))
    tables = list(kinds.tables())
    count = BATCH_ROWS // len(tables)
    mixed = iter([[rows_of(each, 2 * rows + step * count, count) for each in tables] for step in range(20)])
    timed(f"write, {len(tables)} tables in a call", count * len(tables), lambda: store.write(next(mixed)), 20)

    stop_ns = START_NS + rows // SERIES * MINUTE_NS
    whole = Query(table=table, start_ns=START_NS, stop_ns=stop_ns)
    timed("read all, all 8 fields", rows, lambda: store.read(whole), 1)
    three = Query(table=table, start_ns=START_NS, stop_ns=stop_ns, fields=fields)
    timed("read all, 3 fields", rows, lambda: store.read(three), 2)
    one = Query(table=table, start_ns=START_NS, stop_ns=stop_ns, fields=("power_w",))
    timed("read all, 1 field", rows, lambda: store.read(one), 2)
    compound = Query(
        table=table, start_ns=START_NS, stop_ns=stop_ns, fields=fields, compounds=("compound-3",), before_ns=MINUTE_NS
    )
    timed("read one compound of 22, 3 fields", len(store.read(compound)), lambda: store.read(compound))
    timed("latest of every series", SERIES, lambda: store.latest(table, since_ns=START_NS))
    timed("count", rows, lambda: store.count(table, start_ns=START_NS, stop_ns=stop_ns))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["duck", "influx"])
    options = parser.parse_args()
    charger = discover()["charger"].tables["telemetry"]
    batch = rows_of(charger, 0, BATCH_ROWS)
    timed("line protocol, 8 fields", BATCH_ROWS, lambda: list(encode(batch)), 50)
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "influx":
            print("DuckDB")
            duck = DuckStore(Path(folder) / "bench.duckdb", discover().tables())
            bench(duck, options.rows)
            duck.close()
        if options.only != "duck":
            print("InfluxDB")
            with Influxd(folder=Path(folder) / "influxd") as influxd:
                to = influxd.create_bucket()
                influx = InfluxStore(InfluxOptions(url=to.url, org=to.org, bucket=to.bucket, token=to.token))
                bench(influx, options.rows)
                influx.close()


if __name__ == "__main__":
    main()
