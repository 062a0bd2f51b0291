"""How fast the simulators make readings: `python -m benchmarks.simulators [--days N] [--batch N]`.

Generation and encoding of whole days of the whole inventory, on one core and in processor time; the same encoding by
`json.dumps` for each row stands beside it, once both have been found to say the same.
"""

import argparse
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

from devices.columns import NS_PER_MS, Batch, Coded
from devices.inventory import Inventory
from devices.kind import Channel
from devices.registry import Registry, discover
from devices.topics import Topic
from simulators import behaviour
from simulators.encode import Encoder, Message
from simulators.source import Source

INVENTORY = Path(__file__).resolve().parent.parent / "devices" / "inventory" / "fangzhi-road.yaml"
START = dt.datetime.fromisoformat("2025-11-05T00:00+08:00")
DAY_MS = 24 * 3_600_000
SPAN_MS = 3 * 3_600_000
WANTED = 200_000


def plain(batch: Batch, seqs: dict[str, int]) -> list[bytes]:
    """The payloads of a batch the obvious way: a dict and a `json.dumps` for each row."""
    table = batch.table
    columns: list[list[Any]] = []
    for field in table.fields:
        column = batch.columns[field.name]
        values: list[Any] = column.decoded() if isinstance(column, Coded) else column.tolist()
        columns.append([value == "true" for value in values] if field.boolean else values)
    made = []
    for number, code in enumerate(batch.series.tolist()):
        key = batch.keys[code]
        seq = seqs.get(key.device, 0)
        seqs[key.device] = seq + 1
        row: dict[str, Any] = {"ts": int(batch.time[number]) // NS_PER_MS, "seq": seq, "boot": 1}
        if table.channel is Channel.EVENT:
            row["event"] = table.name
        if table.part is not None:
            row[table.part.name] = key.part if table.part.values else int(key.part)
        for field, values in zip(table.fields, columns, strict=True):
            value = values[number]
            if value is not None and value == value:  # noqa: PLR0124  (NaN is absent)
                row[field.name] = int(value) if field.integer else value
        made.append(json.dumps(row).encode())
    return made


def check(batches: list[Batch], numbers: dict[str, int]) -> None:
    """Find out that both ways say the same, but for `seq`, which depends on the order of the rows."""

    def known(payload: bytes, device: str) -> str:
        row = json.loads(payload)
        row.pop("seq")
        return device + json.dumps({k: float(v) if type(v) is int else v for k, v in row.items()}, sort_keys=True)

    fast = [known(each.payload, Topic.parse(each.topic).device) for each in Encoder(numbers, boot=1).encode(batches)]
    slow = [
        known(payload, batch.keys[code].device)
        for batch in batches
        for payload, code in zip(plain(batch, {}), batch.series.tolist(), strict=True)
    ]
    if sorted(fast) != sorted(slow):
        raise SystemExit("the encoder and json.dumps do not say the same; nothing was timed")


def parts(registry: Registry) -> tuple[Inventory, Source, dict[str, int]]:
    """The inventory, a source of it that has drawn nothing, and the numbers of its devices."""
    inventory = Inventory.parse(INVENTORY.read_text(encoding="utf-8"), registry)
    source = Source(inventory, registry, behaviour.discover(registry), 1)
    return inventory, source, {id_: number for number, id_ in enumerate(inventory.devices)}


def main() -> None:
    """Print readings per second, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    registry = discover()
    inventory, source, numbers = parts(registry)
    start = round(START.timestamp() * 1000)
    sample = source.span(start + 18 * 3_600_000, start + 19 * 3_600_000)
    check(sample, numbers)

    _, source, _ = parts(registry)  # as at the start of a process
    encoder = Encoder(numbers, boot=1, batch=given.batch)
    readings, seconds = 0, 0.0
    print(f"{len(inventory.devices)} devices of {len(inventory.compounds)} compounds, {given.batch} readings a message")
    for day in range(given.days):
        made, before = 0, time.process_time()
        messages: list[Message] = []
        for begin in range(start + day * DAY_MS, start + (day + 1) * DAY_MS, SPAN_MS):
            batches = source.span(begin, begin + SPAN_MS)
            made += sum(map(len, batches))
            messages = encoder.encode(batches)
        spent = time.process_time() - before
        readings, seconds = readings + made, seconds + spent
        what = "first day, with all that is drawn once" if day == 0 else f"day {day + 1}"
        print(f"  {what}: {made:,} readings in {spent:.2f} s: {made / spent:,.0f} readings/s")
    rate = readings / seconds
    print(f"generation and encoding: {rate:,.0f} readings/s (wanted: {WANTED:,})")
    print(f"last payload: {messages[-1].payload[:100].decode()}")

    rows = sum(map(len, sample))
    before = time.process_time()
    for batch in sample:
        plain(batch, {})
    slow = time.process_time() - before
    before = time.process_time()
    for _ in range(5):
        Encoder(numbers, boot=1, batch=given.batch).encode(sample)
    fast = (time.process_time() - before) / 5
    print(f"encoding alone: {rows / fast:,.0f} readings/s; json.dumps, row by row: {rows / slow:,.0f}")
    print(f"the encoder is {slow / fast:.1f} × as fast as json.dumps for each row")
    if rate < WANTED:
        raise SystemExit(f"slower than {WANTED:,} readings/s")


if __name__ == "__main__":
    main()
