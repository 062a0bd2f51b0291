"""Looking at a batch the slow, obvious way."""

from collections import defaultdict
from typing import Any

from devices.columns import NS_PER_MS, Batch, Coded


def rows_of(batch: Batch) -> list[dict[str, Any]]:
    """Each row as a dict with `device`, `part`, `ms` and its fields, None where absent; by time."""
    columns = {
        name: column.decoded() if isinstance(column, Coded) else [None if v != v else v for v in column.tolist()]  # noqa: PLR0124  (NaN)
        for name, column in batch.columns.items()
    }
    keys = [batch.keys[code] for code in batch.series.tolist()]
    made = [
        {"device": key.device, "part": key.part, "ms": ms, **dict(zip(columns, values, strict=True))}
        for key, ms, values in zip(
            keys,
            (batch.time // NS_PER_MS).tolist(),
            zip(*columns.values(), strict=True) if columns else [()] * len(keys),
            strict=True,
        )
    ]
    return sorted(made, key=lambda row: row["ms"])


def by_series(batch: Batch) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The rows of each (device, part), by time."""
    made = defaultdict(list)
    for row in rows_of(batch):
        made[row["device"], row["part"]].append(row)
    return made
