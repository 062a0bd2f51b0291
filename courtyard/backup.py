"""Backup and restore of all that an installation keeps; what was deleted meanwhile does not come back."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from courtyard import deletions as gone
from courtyard import wiring
from courtyard.archive import ArchiveError, Reader, Writer, packed, unpacked
from courtyard.deletions import Deletion
from courtyard.keeping import Part, opened, records_file, spools
from courtyard.purge import purge
from courtyard.settings import Settings
from devices.columns import Batch
from ingest import inspection
from ingest.workers import SPOOL
from rollups.writelog import SUFFIX, WriteLog

Progress = Callable[[str], None]

_RECORDS = "records.db"


@dataclass(frozen=True, slots=True)
class Line:
    """One table, as it was and is.

    Attributes:
        where: store and table.
        saved: rows in the backup.
        withheld: rows of it that were deleted since, and are not to come back.
        there: rows that the store holds of it now.
    """

    where: str
    saved: int
    withheld: int
    there: int

    @property
    def is_equal(self) -> bool:
        """Whether all is there that is to be."""
        return self.saved - self.withheld == self.there


def backup(settings: Settings, path: Path, progress: Progress) -> dict[str, dict[str, int]]:
    """Save everything into one file; the rows of each table.

    Args:
        settings: as loaded.
        path: a file that does not exist.
        progress: told what is worked on.

    Raises:
        ArchiveError: the file cannot be made.
        StoreError: a store failed.
        SettingsError: the records are in a database of another kind.
    """
    created_ns = time.time_ns()
    records = records_file(settings)
    writer = Writer(path)
    try:
        counts: dict[str, dict[str, int]] = {}
        # First what is promised: a reading that is in no spool any more is in the store.
        for spool in spools(settings):
            progress(spool.name)
            writer.add(f"spools/{spool.name}", _copied(spool))
        if records.exists():
            progress("records")
            writer.add(_RECORDS, _copied(records))
        with opened(settings) as parts:
            for part in parts:
                counts[part.name] = {}
                for name, table in part.tables.items():
                    progress(f"{part.name} {name}")
                    rows = 0
                    for number, batch in enumerate(part.pieces(table)):
                        writer.add(f"{part.name}/{name}/{number:06d}.parquet", packed(batch))
                        rows += len(batch)
                    if rows:
                        counts[part.name][name] = rows
        writer.finish(created_ns, counts)
    except BaseException:
        writer.close()
        path.unlink()
        raise
    return counts


def restore(settings: Settings, path: Path, progress: Progress) -> list[Line]:
    """Load what a backup holds into an installation that does not run.

    Args:
        settings: as loaded.
        path: the backup.
        progress: told what is worked on.

    Returns:
        How many rows there were and are, table by table.

    Raises:
        ArchiveError: the backup is damaged, or a part of the installation still runs.
        StoreError: a store failed; repeat it.
        RecordsError: the records failed; repeat it.
        WriteLogError: it cannot be noted what is to be rolled up; repeat it.
    """
    with closing(Reader(path)) as reader:
        for name in reader.manifest.members:  # all of it is whole, or nothing is touched
            progress(f"checking {name}")
            reader.read(name)
        known = _deletions(settings, path)
        _restore_spools(settings, reader, progress)
        ordered = _restore_records(settings, reader, known, progress)
        lines = []
        with opened(settings) as parts:
            readings, rolled = parts
            # Noted as ingest notes what it writes: what was not yet rolled up will be, and what was rolled up since the
            # readings were saved is rolled up as they are.
            with closing(WriteLog((wiring.spool_dir(settings) / SPOOL).with_suffix(SUFFIX))) as log:
                lines += _restore_rows(readings, reader, ordered, progress, log.note)
            lines += _restore_rows(rolled, reader, ordered, progress)
            with closing(wiring.open_records(settings)) as database:
                for each in ordered:
                    for left in purge(each.compound, each.before_ns, parts, database, spools(settings), progress):
                        if left.after:
                            raise ArchiveError(f"{left.where}: {left.after} rows that were deleted cannot be deleted")
        return lines


def _deletions(settings: Settings, path: Path) -> dict[str, Deletion]:
    """All that is known to have been deleted: here, and beside the backup."""
    found = [*gone.noted(wiring.backup_dir(settings)), *gone.noted(path.parent)]
    if records_file(settings).exists():
        with closing(wiring.open_records(settings)) as database:
            found += gone.kept(database)
    return {each.id: each for each in found}


def _restore_records(
    settings: Settings, reader: Reader, ordered: dict[str, Deletion], progress: Progress
) -> Sequence[Deletion]:
    target = records_file(settings)
    if _RECORDS in reader.manifest.members:
        progress("records")
        _put(reader.read(_RECORDS), target)
    with closing(wiring.open_records(settings)) as database:
        ordered |= {each.id: each for each in gone.kept(database)}
        gone.keep(database, ordered.values())
    return list(ordered.values())


def _restore_spools(settings: Settings, reader: Reader, progress: Progress) -> None:
    for name in reader.names("spools"):
        target = wiring.spool_dir(settings) / Path(name).name
        if inspection.in_use(target):
            raise ArchiveError(f"an ingest process uses {target}; stop all parts of the installation first")
        progress(target.name)
        _put(reader.read(name), target)


def _restore_rows(
    part: Part,
    reader: Reader,
    ordered: Sequence[Deletion],
    progress: Progress,
    note: Callable[[Sequence[Batch]], None] = lambda _: None,
) -> list[Line]:
    lines = []
    for name, saved in reader.manifest.counts.get(part.name, {}).items():
        table = part.tables.get(name)
        if table is None:
            raise ArchiveError(f"the backup holds {name}, which no kind declares any more; keep the kind's file")
        withheld = 0
        for member in sorted(reader.names(f"{part.name}/{name}")):
            progress(member)
            batch = unpacked(reader.read(member), table)
            chosen = _kept(batch, ordered)
            withheld += len(batch) - len(chosen)
            if len(chosen):
                part.store.write([chosen])
                note([chosen])
        lines.append(Line(f"{part.name} {name}", saved, withheld, part.count(table)))
    return lines


def _kept(batch: Batch, ordered: Sequence[Deletion]) -> Batch:
    """The rows that nobody had deleted."""
    mask = np.ones(len(batch), np.bool_)
    for each in ordered:
        of = np.array([key.compound == each.compound for key in batch.keys], np.bool_)
        mask &= ~(of[batch.series] & (batch.time < each.before_ns))
    return batch if mask.all() else batch.take(mask)


def _copied(path: Path) -> bytes:
    """A SQLite file as of one moment, also while others use it."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / path.name
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        return target.read_bytes()


def _put(content: bytes, target: Path) -> None:
    """A SQLite file in the place of another that nobody uses."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(content)
        for ending in ("-wal", "-shm"):
            target.with_name(target.name + ending).unlink(missing_ok=True)
        part.replace(target)
    except OSError as exc:
        raise ArchiveError(f"{target} cannot be written: {exc.strerror}") from exc
