"""What rows say about a rule's condition, on columns: that it begins, that it ends, or nothing."""

import numpy as np
from numpy.typing import NDArray

from devices.alarms import Burst, Condition, Filling, Labels, Lasting, Level, Match
from devices.columns import Batch, Coded

Verdicts = NDArray[np.int8]
"""int8[n]: 1 where the condition begins with a row, -1 where it ends, 0 where the row says nothing."""


def tables_of(condition: Condition) -> tuple[str, ...]:
    """The tables that a condition is told by; none for one that is told by silence."""
    match condition:
        case Level() | Filling() | Labels():
            return ("telemetry",)
        case Lasting(begins=begins, ends=ends):
            return tuple(dict.fromkeys(each.event for each in (begins, *ends)))
        case Burst(of=of):
            return (of.event,)
    return ()


def verdicts(condition: Condition, batch: Batch) -> Verdicts:
    """What each row of a table says by itself.

    Args:
        condition: one that the table tells of; of `Filling` no row says anything by itself, see `alarms.trends`.
        batch: rows.

    Returns:
        Of `Burst`, 1 for each event that counts.
    """
    match condition:
        case Level():
            return _level(condition, batch)
        case Labels(field=name, labels=labels):
            column = batch.coded(name)
            said = np.array([1 if label in labels else -1 for label in column.labels] or [0], np.int8)
            return np.where(column.codes < 0, 0, said[column.codes]).astype(np.int8)
        case Lasting(begins=begins, ends=ends):
            found = matching(begins, batch).astype(np.int8)
            for each in ends:
                found -= matching(each, batch)
            return found
        case Burst(of=of):
            return matching(of, batch).astype(np.int8)
    return np.zeros(len(batch), np.int8)


def matching(match: Match, batch: Batch) -> NDArray[np.bool_]:
    """bool[n]: which rows are of an event and have its labels."""
    if match.event != batch.table.name:
        return np.zeros(len(batch), np.bool_)
    found = np.ones(len(batch), np.bool_)
    for name, label in match.where.items():
        column = batch.coded(name)
        found &= column.codes == (column.labels.index(label) if label in column.labels else -2)
    return found


def texts(condition: Condition, batch: Batch, rows: NDArray[np.intp]) -> list[str]:
    """What was read, for people: the field that the condition is about; "" for events."""
    if not isinstance(condition, Level | Filling | Labels):
        return [""] * len(rows)
    column = batch.columns[condition.field]
    if isinstance(column, Coded):
        return [each or "" for each in Coded(column.codes[rows], column.labels).decoded()]
    return [f"{each:g}" for each in column[rows].tolist()]


def _level(level: Level, batch: Batch) -> Verdicts:
    values = batch.floats(level.field)
    if level.of is not None:
        whole = batch.floats(level.of)
        values = np.divide(values, whole, out=np.full(len(values), np.nan), where=whole > 0)
    sign = 1 if level.high else -1
    begins, ends = sign * values >= sign * level.at, sign * values <= sign * level.clear
    return begins.astype(np.int8) - ends.astype(np.int8)
