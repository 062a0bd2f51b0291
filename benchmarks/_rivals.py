"""What the core is compared with: the same figures by DuckDB and by Polars, each as its users would write them.

All take rows sorted by device and time. A sample holds until the next one of its device, for `HOLD_NS` at most, which
is less than an hour: so it lies in its own hour and at most in the one after it.
"""

from collections.abc import Callable, Mapping

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

HOUR_NS = 3_600_000_000_000
HOLD_NS = 180_000_000_000
Figures = Mapping[str, NDArray[np.float64]]

_PIECES = """
WITH held AS (
    SELECT device, time, value, code, hour,
        least(coalesce(lead(time) OVER w, {stop}), time + {hold}) AS until,
        coalesce(lead(time) OVER w, time) - time AS gap,
        coalesce(lead(register) OVER w, register) AS after, register
    FROM (SELECT *, time // {hour} AS hour FROM rows)
    WINDOW w AS (PARTITION BY device ORDER BY time)
), pieces AS (
    SELECT device, hour, value, code, register, after, gap, least(until, (hour + 1) * {hour}) - time AS ns FROM held
    UNION ALL
    SELECT device, hour + 1, value, code, register, after, gap, until - (hour + 1) * {hour} FROM held
    WHERE until > (hour + 1) * {hour}
)
"""
_GROUPED = "FROM pieces WHERE hour < {last} GROUP BY device, hour ORDER BY device, hour"
_SQL = {
    "mean, min, max": """
SELECT avg(value), min(value), max(value) FROM rows GROUP BY device, time // {hour} ORDER BY device, time // {hour}
""",
    "time-weighted mean": _PIECES + "SELECT sum(value * ns) / sum(ns) " + _GROUPED,
    "increase": _PIECES
    + """
, rises AS (
    SELECT device, hour, ns, gap, CASE WHEN after < register THEN after ELSE after - register END AS rise FROM pieces
    WHERE gap > 0 AND gap <= {hold}
    UNION ALL
    SELECT device, (time + gap) // {hour}, gap, gap, CASE WHEN after < register THEN after ELSE after - register END
    FROM held WHERE gap > {hold}
    UNION ALL
    SELECT device, hour, 0, 1, 0 FROM pieces
)
SELECT sum(rise * (ns / gap)) FROM rises WHERE hour < {last} GROUP BY device, hour ORDER BY device, hour
""",
    "state seconds": _PIECES
    + """
SELECT
    sum(CASE WHEN code = 0 THEN ns ELSE 0 END) / 1e9,
    sum(CASE WHEN code = 1 THEN ns ELSE 0 END) / 1e9,
    sum(CASE WHEN code = 2 THEN ns ELSE 0 END) / 1e9 """
    + _GROUPED,
}


def by_duckdb(columns: Mapping[str, NDArray[np.generic]], stop_ns: int) -> Mapping[str, Callable[[], Figures]]:
    """DuckDB over a table of its own, on all cores.

    Args:
        columns: device, time, value, register and code, sorted by device and time.
        stop_ns: end of the span, on the hour.

    Returns:
        For each figure, what computes it: columns of one entry per device and hour.
    """
    db = duckdb.connect()
    db.register("given", {name: np.asarray(column) for name, column in columns.items()})
    db.execute("CREATE TABLE rows AS SELECT * FROM given")

    def asked(sql: str) -> Callable[[], Figures]:
        text = sql.format(hour=HOUR_NS, hold=HOLD_NS, stop=stop_ns, last=stop_ns // HOUR_NS)
        return lambda: dict(db.execute(text).fetchnumpy())

    return {name: asked(sql) for name, sql in _SQL.items()}


def by_polars(columns: Mapping[str, NDArray[np.generic]], stop_ns: int) -> Mapping[str, Callable[[], Figures]]:
    """Polars over a data frame, lazily, on all cores; see `by_duckdb`."""
    frame = pl.DataFrame({name: np.asarray(column) for name, column in columns.items()}).lazy()
    frame = frame.set_sorted("device")
    hour = pl.col("time") // HOUR_NS
    last = stop_ns // HOUR_NS

    def held() -> pl.LazyFrame:
        follows = pl.col("device").shift(-1) == pl.col("device")
        after = pl.when(follows).then(pl.col("time").shift(-1))
        return frame.with_columns(
            hour=hour,
            until=pl.min_horizontal(after.otherwise(stop_ns), pl.col("time") + HOLD_NS),
            gap=after.otherwise(pl.col("time")) - pl.col("time"),
            after=pl.when(follows).then(pl.col("register").shift(-1)).otherwise(pl.col("register")),
        )

    def pieces() -> pl.LazyFrame:
        edge = (pl.col("hour") + 1) * HOUR_NS
        own = held().with_columns(ns=pl.min_horizontal("until", edge) - pl.col("time"))
        next_ = held().filter(pl.col("until") > edge).with_columns(ns=pl.col("until") - edge, hour=pl.col("hour") + 1)
        return pl.concat([own, next_]).filter(pl.col("hour") < last)

    def grouped(lazy: pl.LazyFrame, *figures: pl.Expr) -> Figures:
        made = lazy.group_by("device", "hour").agg(*figures).sort("device", "hour").collect()
        return {name: made[name].to_numpy().astype(np.float64) for name in made.columns[2:]}

    rise = (
        pl.when(pl.col("after") < pl.col("register"))
        .then(pl.col("after"))
        .otherwise(pl.col("after") - pl.col("register"))
    )
    spread = pl.col("gap") <= HOLD_NS
    ns = pl.col("ns")
    return {
        "mean, min, max": lambda: grouped(
            frame.with_columns(hour=hour),
            pl.col("value").mean(),
            pl.col("value").min().alias("low"),
            pl.col("value").max().alias("high"),
        ),
        "time-weighted mean": lambda: grouped(pieces(), (pl.col("value") * ns).sum() / ns.sum()),
        "increase": lambda: grouped(
            pl.concat(
                [
                    pieces().select(
                        "device",
                        "hour",
                        rise=pl.when(spread & (pl.col("gap") > 0)).then(rise * (ns / pl.col("gap"))).otherwise(0.0),
                    ),
                    held()
                    .filter(~spread)
                    .select("device", hour=(pl.col("time") + pl.col("gap")) // HOUR_NS, rise=rise),
                ]
            ).filter(pl.col("hour") < last),
            pl.col("rise").sum(),
        ),
        "state seconds": lambda: grouped(
            pieces(),
            *[
                (pl.when(pl.col("code") == code).then(ns).otherwise(0).sum() / 1e9).alias(str(code))
                for code in range(3)
            ],
        ),
    }
