"""Bodies: how what a write is to bring is cut into requests to InfluxDB, and which of them may go side by side."""

from collections.abc import Sequence

from devices.columns import Batch
from devices.keys import ChosenKeys

MAX_BODY_BYTES = 5_000_000
"""The most that one request writes; influxd holds a whole body in memory while it takes it."""

LANES = 2
"""How many bodies of one call are written at once."""

_LITTLE_BYTES = 250_000
"""So little is written best in one request."""


def bodies_of(pieces: Sequence[bytes]) -> list[bytes]:
    """Pieces put together: bodies of about the same size, enough for all lanes where there is much to write.

    Args:
        pieces: whole lines, each piece of at most `MAX_BODY_BYTES`.

    Returns:
        The bodies, in the order of the pieces; none where there is nothing.
    """
    total = sum(map(len, pieces))
    if not total:
        return []
    count = -(-total // (LANES * MAX_BODY_BYTES)) * LANES if total > LANES * _LITTLE_BYTES else 1
    bodies = []
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if waiting and (size >= total / count or size + len(piece) > MAX_BODY_BYTES):
            bodies.append(b"".join(waiting))
            waiting, size = [], 0
        waiting.append(piece)
        size += len(piece)
    return [*bodies, b"".join(waiting)]


def are_distinct(batches: Sequence[Batch]) -> bool:
    """Whether no row stands twice in a call: each table once, sorted by series and time."""
    if len({batch.table.measurement for batch in batches}) < len(batches):
        return False
    for batch in batches:
        series, time = batch.series, batch.time
        later = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (time[1:] > time[:-1]))
        each_once = isinstance(batch.keys, ChosenKeys) or len(set(batch.keys)) == len(batch.keys)
        if not later.all() or not each_once:
            return False
    return True
