"""Deletes for good what is kept of a compound before a time: readings, rollups, alarms, windows, dead letters.

What still waits in a spool, or comes later, is barred first: ingest counts it and takes none of it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, delete, func, select

from courtyard.keeping import Part
from ingest import inspection
from ingest.errors import SpoolError
from records.database import Database
from records.schema import ALARMS, MAINTENANCE, NOTICES

_NS_PER_MS = 1_000_000
_SETTLED_S = 120.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of one table.

    Attributes:
        where: store and table.
        before: rows of the compound before the time, before it was purged.
        after: the same afterwards.
    """

    where: str
    before: int
    after: int


def purge(  # noqa: PLR0913, PLR0917  (all that it deletes from)
    compound: str,
    before_ns: int,
    parts: Sequence[Part],
    database: Database,
    spools: Sequence[Path],
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Purged]:
    """Delete, table by table, and count what is left of each.

    What all compounds have together (figures of the whole fleet) stays: it tells of no compound.

    Args:
        compound: whose.
        before_ns: what lies before this, ns since the epoch.
        parts: readings and rollups.
        database: the records.
        spools: hold dead letters, and what waits.
        progress: told what is worked on.

    Raises:
        StoreError: a store failed; repeat it.
        RecordsError: the records failed; repeat it.
        SpoolError: a spool failed; repeat it.
    """
    progress("what waits in the spools")
    _bar(compound, before_ns, spools)
    for part in parts:
        for name, table in part.tables.items():
            progress(f"{part.name} {name}")
            before = part.of_compound(table, compound, before_ns)
            if before:
                part.store.delete(table, stop_ns=before_ns, compound=compound)
            yield Purged(f"{part.name} {name}", before, part.of_compound(table, compound, before_ns) if before else 0)
    progress("records")
    yield from _records(compound, before_ns, database)
    for path in spools:
        progress(f"dead letters of {path.name}")
        dropped = inspection.purge_dead_letters(path, compound, before_ns // _NS_PER_MS)
        yield Purged(f"dead letters of {path.name}", dropped, 0)


def _bar(compound: str, before_ns: int, spools: Sequence[Path]) -> None:
    """Have ingest take no more of it, and wait until it is done with what it had in hand."""
    # Rounded up: a reading is of a whole millisecond.
    in_hand = {path: inspection.bar(path, compound, -(-before_ns // _NS_PER_MS)) for path in spools}
    until = time.monotonic() + _SETTLED_S
    for path, batch in in_hand.items():
        while not inspection.has_passed(path, batch):
            if time.monotonic() > until:
                raise SpoolError(
                    f"ingest has not written what waited in {path}; see whether the store answers, and repeat this"
                )
            time.sleep(_LOOK_S)


def _records(compound: str, before_ns: int, database: Database) -> Iterator[Purged]:
    alarms = and_(ALARMS.c.compound == compound, ALARMS.c.raised_ns < before_ns)
    windows = and_(MAINTENANCE.c.compound == compound, MAINTENANCE.c.stop_ns < before_ns)
    with database.begin() as connection:
        connection.execute(delete(NOTICES).where(NOTICES.c.alarm.in_(select(ALARMS.c.id).where(alarms))))
        found = [
            ("records alarms", connection.execute(delete(ALARMS).where(alarms)).rowcount, ALARMS, alarms),
            (
                "records windows",
                connection.execute(delete(MAINTENANCE).where(windows)).rowcount,
                MAINTENANCE,
                windows,
            ),
        ]
        counts = [
            connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()
            for _, _, table, which in found
        ]
    database.forget()
    for (where, before, _, _), after in zip(found, counts, strict=True):
        yield Purged(where, before, after)
