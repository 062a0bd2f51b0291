"""The ledger as people and programs read it: everything that all spools of an installation say, from any process."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ingest import database, gapfile, gather
from ingest.closing import now_ms
from ingest.database import Pending
from ingest.errors import SpoolError
from ingest.gaps import Gap, Tracker
from ingest.inspection import Inspection, in_use, inspected, snapshot, waiting
from ingest.ledger import SETTLED, TAKEN, Counts, Entry, moved, per_kind, unbalanced
from ingest.workers import GAPS, SPOOL, all_spools


@dataclass(frozen=True, kw_only=True, slots=True)
class KindLine:
    """What became of one kind's readings. `received` = `written` + `duplicate` + `dead_lettered`.

    Attributes:
        kind: name of the kind, or "unknown".
        received: readings that have left the spools, and messages refused whole.
        written: of these, how many were written to the store for the first time.
        duplicate: how many had been received before.
        dead_lettered: how many were refused, by reason.
        replayed: how many dead letters were replayed. What became of them then is counted like all else.
        missing: how many never came although later ones did.
        pending: how many messages wait in the spools; None where too many wait to look at each.
    """

    kind: str
    received: int
    written: int
    duplicate: int
    dead_lettered: Mapping[str, int]
    replayed: int
    missing: int
    pending: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpoolLine:
    """One spool. `taken` = `settled` + `pending.messages`.

    Attributes:
        name: the name of its file.
        running: whether an ingest process uses it now.
        taken: how many messages it ever took.
        settled: how many of them have left it.
        pending: what waits in it.
    """

    name: str
    running: bool
    taken: int
    settled: int
    pending: Pending


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """The ledger.

    Attributes:
        time_ms: as of when, ms since the epoch.
        spools: the spools.
        kinds: the kinds of which anything was received.
        gaps: the streams that miss most; or, asked for one device, all of its streams.
        faults: what does not balance, in words.
    """

    time_ms: int
    spools: tuple[SpoolLine, ...]
    kinds: tuple[KindLine, ...]
    gaps: tuple[Gap, ...]
    faults: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether everything received is accounted for."""
        return not self.faults


def state(
    folder: Path, kinds: Collection[str], *, grace_s: float, device: str | None = None, most: int = 20
) -> Statement:
    """Read the ledger of an installation; ingest may run meanwhile.

    Args:
        folder: where the spools are.
        kinds: the kinds there are.
        grace_s: what is missing may still come so long after what came instead of it, in seconds.
        device: show this one's streams instead of those that miss most.
        most: show at most so many streams.

    Raises:
        SpoolError: there is no spool, or one cannot be read.
    """
    paths = all_spools(folder)
    if not paths:
        raise SpoolError(f"there is no spool in {folder}; ingest makes it at its first start")
    with ExitStack() as stack:
        databases = {path: stack.enter_context(snapshot(path)) for path in paths}
        found = {path: inspected(db) for path, db in databases.items()}
        waits = [waiting(db, kinds) for db in databases.values()]
        grace_ms = round(grace_s * 1000)
        trackers: list[tuple[Tracker, int]] = []
        again: Counter[str] = Counter()
        alone = folder / SPOOL
        if alone in databases:
            tracker = gapfile.restored(databases[alone], gapfile.streams(databases[alone]))
            trackers.append((tracker, (found[alone].pending.oldest_ms or now_ms()) - grace_ms))
        workers = {path: db for path, db in databases.items() if path != alone}
        if workers:
            until_ms = gather.merged_until_ms(workers) - grace_ms
            merged = gather.look(folder / GAPS, {database.identity(db): db for db in workers.values()})
            trackers.append((merged.tracker, until_ms))
            again = merged.again
    total = Counts()
    for each in found.values():
        total.update(each.counts)  # `+` would drop what is not positive, and hide a fault
    counts = moved(total, again)
    missing = sum((tracker.missing(until_ms) for tracker, until_ms in trackers), Counter[str]())
    return Statement(
        time_ms=now_ms(),
        spools=tuple(_spool(path, each) for path, each in found.items()),
        kinds=tuple(_kinds(counts, missing, _joined(waits))),
        gaps=tuple(_gaps(trackers, device, most)),
        faults=tuple(_faults(counts, found)),
    )


def _gaps(trackers: Iterable[tuple[Tracker, int]], device: str | None, most: int) -> list[Gap]:
    found = [
        gap
        for tracker, until_ms in trackers
        for gap in (tracker.worst(until_ms, most) if device is None else tracker.of_device(device, until_ms))
    ]
    return sorted(found, key=lambda gap: (-gap.missing, gap.stream))[:most]


def _spool(path: Path, found: Inspection) -> SpoolLine:
    return SpoolLine(
        name=path.name,
        running=in_use(path),
        taken=found.counts[TAKEN],
        settled=found.counts[SETTLED],
        pending=found.pending,
    )


def _kinds(counts: Counts, missing: Mapping[str, int], waits: Mapping[str, int] | None) -> Iterable[KindLine]:
    names = {account.kind for account in counts if account.kind} | {*missing, *(waits or ())}
    entries = {entry: per_kind(counts, entry) for entry in Entry}
    for kind in sorted(names):
        letters = {
            str(account.reason): value
            for account, value in sorted(counts.items())
            if account.entry is Entry.DEAD_LETTERED and account.kind == kind and value
        }
        yield KindLine(
            kind=kind,
            received=entries[Entry.RECEIVED][kind],
            written=entries[Entry.WRITTEN][kind],
            duplicate=entries[Entry.DUPLICATE][kind],
            dead_lettered=letters,
            replayed=entries[Entry.REPLAYED][kind],
            missing=missing.get(kind, 0),
            pending=None if waits is None else waits.get(kind, 0),
        )


def _joined(waits: Iterable[Counter[str] | None]) -> Counter[str] | None:
    joined: Counter[str] = Counter()
    for each in waits:
        if each is None:
            return None
        joined += each
    return joined


def _faults(counts: Counts, found: Mapping[Path, Inspection]) -> Iterable[str]:
    for kind, value in unbalanced(counts).items():
        yield f"{kind}: {value:+,} readings received that were neither written nor refused nor received before"
    for path, each in found.items():
        if each.unaccounted:
            yield f"{path.name}: {each.unaccounted:+,} messages taken that have neither left it nor wait in it"
