"""How fast InfluxDB becomes columns: `python -m benchmarks.read [--rows 1200000]`.

One field of many series, as a statistic reads it: by our store, and by the client's own `query_data_frame` with the
same Flux. Both answers are compared, value by value, before anything is timed. Rows are those of one field: series,
time, value.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.warnings import MissingPivotFunction
from rich.console import Console

from benchmarks.store import BATCH_ROWS, MINUTE_NS, SERIES, START_NS, rows_of
from devices.columns import Batch
from devices.registry import discover
from store.flux import Selection
from store.influx import InfluxOptions, InfluxStore
from store.protocol import Query
from tests.services import Influxd

FIELD = "power_w"
console = Console()


def main() -> int:
    """Fill, compare, measure; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_200_000, help="rows of the field")
    parser.add_argument("--repeat", type=int, default=5, help="readings of each kind")
    options = parser.parse_args()
    table = discover()["charger"].tables["telemetry"]
    with tempfile.TemporaryDirectory() as folder, Influxd(folder=Path(folder)) as influxd:
        bucket = influxd.create_bucket()
        store = InfluxStore(InfluxOptions(url=bucket.url, org=bucket.org, bucket=bucket.bucket, token=bucket.token))
        for first in range(0, options.rows, BATCH_ROWS * 5):
            store.write([rows_of(table, first, min(BATCH_ROWS * 5, options.rows - first))])
        stop_ns = START_NS + (options.rows // SERIES + 1) * MINUTE_NS
        query = Query(table=table, start_ns=START_NS, stop_ns=stop_ns, fields=(FIELD,))
        flux = Selection(bucket=bucket.bucket, table=table, fields=(FIELD,), start_ns=START_NS, stop_ns=stop_ns).flux()
        client = InfluxDBClient(bucket.url, bucket.token, org=bucket.org, timeout=600_000)
        api = client.query_api()

        def framed() -> pd.DataFrame:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MissingPivotFunction)
                found = api.query_data_frame(flux)
            return pd.concat(found) if isinstance(found, list) else found

        ours = store.read(query)
        check(ours, framed(), options.rows)
        fast, slow = timed(lambda: store.read(query), options.repeat), timed(framed, max(options.repeat // 2, 1))
        console.print(
            f"{options.rows:,} rows of one field, {SERIES} series: {options.rows / fast / 1e6:.2f} M rows/s, "
            f"{slow / fast:.1f} times as fast as query_data_frame"
        )
        client.close()  # type: ignore[no-untyped-call]
        store.close()
    return 0


def check(ours: Batch, frame: pd.DataFrame, rows: int) -> None:
    """End where the two do not agree."""
    frame = frame.sort_values(["compound", "device", "part", "_time"])
    names = [f"{key.compound} {key.device} {key.part}" for key in ours.keys]
    theirs = (frame["compound"] + " " + frame["device"] + " " + frame["part"].astype(str)).tolist()
    same = (
        len(ours) == len(frame) == rows
        and [names[series] for series in ours.series.tolist()] == theirs
        # The client cuts nanoseconds off, and with them the sequence number.
        and np.array_equal(ours.time // 1000, frame["_time"].to_numpy("datetime64[us]").astype(np.int64))
        and np.array_equal(ours.floats(FIELD), frame["_value"].to_numpy())
    )
    if not same:
        raise SystemExit("the store and query_data_frame do not agree")


def timed(action: Callable[[], object], repeat: int) -> float:
    """The median of some runs, s."""
    taken = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
