"""Compares what is stored with what was acknowledged: by InfluxDB's Flux or DuckDB's SQL, not by our own reader."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from devices.inventory import Device, Inventory
from devices.kind import Channel
from devices.registry import discover
from ingest.inspection import Inspection
from ingest.ledger import Entry, per_kind, per_reason, unbalanced
from tests.chaos.load import BOOT_NUMBERS, NUMBERED, senders
from tests.chaos.rig import INVENTORY, ChaosError, Rig
from tests.services import Bucket, Influxd

_NUMBER_BITS = 32
Keys = NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """Readings as numbers.

    Attributes:
        key: the device's place << 32 | the reading's number.
        time: nanoseconds since the epoch.
        kinds: number of readings by kind.
    """

    key: Keys
    time: Keys
    kinds: Mapping[str, int]

    def __len__(self) -> int:
        """The number of readings."""
        return len(self.key)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Store against load.

    Attributes:
        acknowledged: readings that the broker acknowledged to their devices.
        stored: rows in the store.
        missing: acknowledged, but not stored: their keys, see `Readings`.
        twice: rows beyond the first with the same device and number.
        unknown: rows that nobody was acknowledged for.
        altered: rows with another time than sent.
    """

    acknowledged: int
    stored: int
    missing: Keys
    twice: int
    unknown: int
    altered: int

    @property
    def figures(self) -> dict[str, int]:
        """For reports."""
        return {
            "acknowledged": self.acknowledged,
            "stored": self.stored,
            "missing": len(self.missing),
            "twice": self.twice,
            "unknown": self.unknown,
            "altered": self.altered,
        }

    @property
    def faults(self) -> list[str]:
        """What is not as it must be, in words."""
        return [
            f"{name}: {value:,}"
            for name, value in self.figures.items()
            if name not in {"acknowledged", "stored"} and value
        ]


def acknowledged(records: NDArray[np.void]) -> Readings:
    """The readings of acknowledged messages."""
    counts = records["count"].astype(np.int64)
    first = np.repeat(records["number"].astype(np.int64), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    device = np.repeat(records["device"].astype(np.int64), counts)
    number = first + within
    time = np.repeat(records["ts"].astype(np.int64), counts) * 1_000_000 + number % BOOT_NUMBERS
    kinds = np.array([each.kind for each in _senders()])[device]
    return Readings(device << _NUMBER_BITS | number, time, {kind: int((kinds == kind).sum()) for kind in NUMBERED})


def stored(rig: Rig) -> Readings:
    """The rows in the rig's store; a DuckDB file can be read only after ingest has ended."""
    return numbered({
        kind: _flux(rig.influxd, kind) if rig.influxd is not None else _sql(rig.data / "readings.duckdb", kind)
        for kind in NUMBERED
    })  # fmt: skip


def numbered(tables: Mapping[str, pa.Table]) -> Readings:
    """Rows as numbers.

    Args:
        tables: by kind, with columns device, time (ns) and value, which repeats the number.

    Raises:
        ChaosError: a value is none that was sent.
    """
    places = {device.id: place for place, device in enumerate(_senders())}
    keys, times = [], []
    for kind in NUMBERED:
        table = tables[kind]
        names = pc.dictionary_encode(table["device"].combine_chunks())
        numbers = np.array([places[name] for name in names.dictionary.to_pylist()], np.int64)
        device = numbers[names.indices.to_numpy(zero_copy_only=False)]
        value = table["value"].to_numpy()
        if not (value == np.floor(value)).all():
            raise ChaosError(f"{kind}: a value is not the number that was sent")
        keys.append(device << _NUMBER_BITS | value.astype(np.int64))
        times.append(table["time"].cast(pa.int64()).to_numpy())
    return Readings(np.concatenate(keys), np.concatenate(times), {kind: len(tables[kind]) for kind in NUMBERED})


def compare(sent: Readings, rows: Readings) -> Comparison:
    """Compare, exactly."""
    kept, first = np.unique(rows.key, return_index=True)
    wanted, place = np.unique(sent.key, return_index=True)
    if len(wanted) != len(sent):
        raise ChaosError("the load numbered two readings alike")
    both, ours, theirs = np.intersect1d(wanted, kept, assume_unique=True, return_indices=True)
    return Comparison(
        acknowledged=len(sent),
        stored=len(rows),
        missing=np.setdiff1d(wanted, kept, assume_unique=True),
        twice=len(rows) - len(kept),
        unknown=len(kept) - len(both),
        altered=int((sent.time[place[ours]] != rows.time[first[theirs]]).sum()),
    )


def ledger_faults(
    found: Inspection, sent: Readings, *, lost: int = 0, refused: Mapping[str, int] | None = None
) -> list[str]:
    """What does not balance in the ledger of a spool that is empty again.

    Args:
        found: the ledger.
        sent: what was acknowledged and is good: written once each, but for what was lost.
        lost: how many of these the broker lost.
        refused: how many dead letters there must be, by reason.
    """
    faults = []
    if found.pending.messages:
        faults.append(f"pending: {found.pending.messages:,}")
    if left := unbalanced(found.counts):
        faults.append(f"the ledger does not balance: {left}")
    written = per_kind(found.counts, Entry.WRITTEN)
    if sum(written.values()) != len(sent) - lost or any(written[kind] > count for kind, count in sent.kinds.items()):
        faults.append(f"{dict(sent.kinds)} sent, {lost:,} lost, {dict(written)} written")
    letters = {reason: count for reason, count in per_reason(found.counts).items() if count}
    if letters != {str(reason): count for reason, count in (refused or {}).items()}:
        faults.append(f"dead letters: {letters}, not {dict(refused or {})}")
    return faults


def ledger_figures(found: Inspection, sent: Readings, *, lost: int = 0) -> dict[str, int]:
    """The ledger over all kinds; `redelivered` counts readings that left the spool again, after they had left it once.

    Args:
        found: the ledger of a spool that is empty again.
        sent: what was acknowledged and is good.
        lost: how many of these the broker lost.
    """
    totals = {str(entry): sum(per_kind(found.counts, entry).values()) for entry in Entry}
    again = sum(per_kind(found.counts, Entry.RECEIVED)[kind] - count for kind, count in sent.kinds.items())
    refused = sum(
        value for account, value in found.counts.items()
        if account.entry is Entry.DEAD_LETTERED and account.kind in NUMBERED
    )  # fmt: skip
    del totals[Entry.TAKEN], totals[Entry.MESSAGES]  # these count messages
    return {**totals, "pending": found.pending.messages, "redelivered": again - refused + lost}


def reported_missing(statement: Mapping[str, Any]) -> Keys:
    """The readings that the ledger reports as missing, as in `Readings.key`."""
    places = {device.id: place for place, device in enumerate(_senders())}
    found = [
        places[stream["device"]] << _NUMBER_BITS | (each["boot"] * BOOT_NUMBERS + seq)
        for stream in statement["streams"]
        if stream["channel"] == Channel.TELEMETRY
        for each in stream["ranges"]
        for seq in range(each["first"], each["last"] + 1)
    ]
    return np.unique(np.array(found, np.int64))


def _flux(influxd: Influxd, kind: str) -> pa.Table:
    bucket = Bucket(url=influxd.url, org=influxd.org, bucket=influxd.bucket, token=influxd.token)
    measurement = discover()[kind].tables["telemetry"].measurement
    text = bucket.query(
        f'from(bucket: "{bucket.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
        f' |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{NUMBERED[kind]}")'
        ' |> keep(columns: ["_time", "_value", "device"]) |> group()'
    )
    if not text.strip():
        return pa.table(
            {"time": pa.array([], pa.int64()), "value": pa.array([], pa.float64()), "device": pa.array([], pa.string())}
        )
    table = pcsv.read_csv(
        io.BytesIO(text.encode()),
        convert_options=pcsv.ConvertOptions(
            include_columns=["_time", "_value", "device"],
            column_types={"_time": pa.timestamp("ns", "UTC"), "_value": pa.float64(), "device": pa.string()},
        ),
    )
    return table.rename_columns(["time", "value", "device"])


def _sql(path: Path, kind: str) -> pa.Table:
    measurement = discover()[kind].tables["telemetry"].measurement
    with duckdb.connect(str(path), read_only=True) as db:
        return db.sql(
            f"SELECT time, {NUMBERED[kind]} AS value, device FROM {measurement} JOIN _series ON _series = id"  # noqa: S608
        ).to_arrow_table()


def _senders() -> list[Device]:
    return senders(Inventory.parse(INVENTORY.read_text(encoding="utf-8"), discover()))


def without(readings: Readings, bad: Mapping[str, tuple[int, int]]) -> tuple[Readings, int]:
    """Leave readings out.

    Args:
        readings: all.
        bad: by kind (every, place): those whose number % every == place are left out.

    Returns:
        The others, and how many are left out.
    """
    kinds = np.array([each.kind for each in _senders()])[readings.key >> _NUMBER_BITS]
    number = readings.key & ((1 << _NUMBER_BITS) - 1)
    keep = np.ones(len(readings), np.bool_)
    for kind, (every, place) in bad.items():
        keep &= ~((kinds == kind) & (number % every == place))
    counts = {kind: int((kinds[keep] == kind).sum()) for kind in NUMBERED}
    return Readings(readings.key[keep], readings.time[keep], counts), int((~keep).sum())
