"""A kind with a rule of each sort, and rows of it."""

from collections.abc import Sequence

import numpy as np

from devices.alarms import Burst, Labels, Lasting, Level, Match, Rule, Severity
from devices.columns import Batch, Coded, Column, SeriesKey
from devices.fields import category, gauge, identity, state
from devices.kind import Event, Kind
from devices.names import Text

S = 1_000_000_000
BEGIN_S = 1_800_000_000
"""What seconds are counted from."""

TEXT = Text("t", "t")
KEY = SeriesKey("jingyuan", "jingyuan-thing-01")


def rule(name: str, condition: Labels | Level | Lasting | Burst, for_s: float = 0, clear_s: float = 0) -> Rule:
    return Rule(
        name=name, title=TEXT, severity=Severity.MAJOR, condition=condition, advice=TEXT, for_s=for_s, clear_s=clear_s
    )


THING = Kind(
    name="thing",
    title=TEXT,
    interval_s=60,
    telemetry=(
        gauge("level", TEXT, "1", 0, 100, required=False),
        gauge("size", TEXT, "1", 0, 100, required=False),
        state("lamp", TEXT, ("off", "on"), required=False),
    ),
    events=(
        Event(
            name="incident",
            title=TEXT,
            fields=(category("phase", TEXT, ("begin", "end")), identity("id", TEXT)),
        ),
        Event(name="knock", title=TEXT, fields=()),
    ),
    alarms=(
        rule("high", Level(field="level", at=80, clear=60), for_s=100, clear_s=50),
        rule("low", Level(field="level", at=10, clear=20)),
        rule("full", Level(field="level", of="size", at=1, clear=0.5)),
        rule("lit", Labels(field="lamp", labels=("on",))),
        rule(
            "lasting",
            Lasting(
                key="id",
                begins=Match(event="incident", where={"phase": "begin"}),
                ends=(Match(event="incident", where={"phase": "end"}),),
            ),
            for_s=30,
        ),
        rule("burst", Burst(of=Match(event="knock"), count=3, within_s=10)),
    ),
)


def at(seconds: float) -> int:
    """An instant, ns since the epoch."""
    return BEGIN_S * S + round(seconds * S)


def telemetry(
    rows: Sequence[tuple[float, float | None, float | None, str | None]], keys: Sequence[SeriesKey] = (KEY,)
) -> Batch:
    """Rows of (seconds, level, size, lamp), in turn of each key."""
    table = THING.tables["telemetry"]
    series = np.arange(len(rows), dtype=np.int32) % len(keys)
    numbers = [np.array([np.nan if row[i] is None else row[i] for row in rows], np.float64) for i in (1, 2)]
    lamp = np.array([-1 if row[3] is None else table.by_name["lamp"].labels.index(row[3]) for row in rows], np.int32)
    columns: dict[str, Column] = {
        "level": numbers[0],
        "size": numbers[1],
        "lamp": Coded(lamp, table.by_name["lamp"].labels),
    }
    return Batch(table, tuple(keys), series, np.array([at(row[0]) for row in rows], np.int64), columns)


def incidents(rows: Sequence[tuple[float, str, str]]) -> Batch:
    """Events of (seconds, phase, id)."""
    table = THING.tables["incident"]
    ids = sorted({row[2] for row in rows})
    labels = table.by_name["phase"].labels
    columns: dict[str, Column] = {
        "phase": Coded(np.array([labels.index(row[1]) for row in rows], np.int32), labels),
        "id": Coded(np.array([ids.index(row[2]) for row in rows], np.int32), tuple(ids)),
    }
    time = np.array([at(row[0]) for row in rows], np.int64)
    return Batch(table, (KEY,), np.zeros(len(rows), np.int32), time, columns)


def knocks(times: Sequence[float]) -> Batch:
    """Events at some seconds."""
    time = np.array([at(each) for each in times], np.int64)
    return Batch(THING.tables["knock"], (KEY,), np.zeros(len(times), np.int32), time, {})
