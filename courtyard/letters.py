"""Dead letters of all spools of an installation: found, shown, and replayed."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from courtyard import wiring
from courtyard.settings import Settings
from devices.errors import NotFoundError, QueryError, Reason
from ingest import inspection
from ingest.deadletters import DeadLetter, Wanted
from ingest.errors import SpoolError, SpoolFullError
from ingest.spool import Limits, Spool
from ingest.workers import all_spools, short_name

_CHUNK = 500
_LOOK_S = 0.2
_PATIENCE_S = 30.0  # an ingest process that takes replays takes some each second
_SPAN = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_REF = re.compile(r"(?:(\d+of\d+):)?(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """One dead letter.

    Attributes:
        spool: the spool that keeps it.
        letter: the letter.
    """

    spool: Path
    letter: DeadLetter

    @property
    def reference(self) -> str:
        """Its number as people write it: `17`, or `2of4:17` where a worker keeps it."""
        worker = short_name(self.spool)
        return f"{worker}:{self.letter.id}" if worker else str(self.letter.id)

    def as_json(self) -> dict[str, Any]:
        """For programs. The payload is given as text; see `text`."""
        letter = self.letter
        return {
            "id": self.reference,
            "time": at(letter.time_ms),
            "reason": letter.reason.value,
            "message": letter.message,
            "topic": letter.topic,
            "kind": letter.kind,
            "compound": letter.compound,
            "size": letter.size,
            "payload": None if letter.payload is None else text(letter.payload),
            "whole": letter.is_whole,
            "sha256": letter.sha256,
            "replayed": None if letter.replayed_ms is None else at(letter.replayed_ms),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed.

    Attributes:
        ids: the letters' numbers, by spool.
        left_out: why others of those wanted cannot be, and how many.
    """

    ids: Mapping[Path, Sequence[int]]
    left_out: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many letters."""
        return sum(map(len, self.ids.values()))


def find(settings: Settings, wanted: Wanted, *, limit: int) -> list[Found]:
    """The newest dead letters of those wanted, newest first.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    found = [
        Found(path, letter)
        for path in _spools(settings)
        for letter in inspection.find_dead_letters(path, wanted, limit=limit, newest=True)
    ]
    return sorted(found, key=lambda each: (-each.letter.time_ms, -each.letter.id))[:limit]


def count(settings: Settings, wanted: Wanted) -> int:
    """How many dead letters there are.

    Raises:
        SpoolError: there is no spool, or it cannot be read.
    """
    return sum(inspection.count_dead_letters(path, wanted) for path in _spools(settings))


def get(settings: Settings, reference: str) -> Found:
    """One dead letter.

    Raises:
        QueryError: that is not how one is written.
        NotFoundError: there is none.
        SpoolError: there is no spool, or it cannot be read.
    """
    path, number = _place(settings, reference)
    found = inspection.find_dead_letters(path, Wanted(ids=(number,)), limit=1)
    if not found:
        raise _no_such(reference)
    return Found(path, found[0])


def plan(settings: Settings, wanted: Wanted, references: Sequence[str] = (), *, limit: int) -> Plan:
    """Which dead letters can be replayed, oldest first.

    Args:
        settings: as loaded.
        wanted: which.
        references: just these, where there are any.
        limit: at most so many.

    Raises:
        QueryError: a number is not written like one.
        NotFoundError: there is no letter of that number.
        SpoolError: there is no spool, or it cannot be read.
    """
    left_out: Counter[str] = Counter()
    ids: dict[Path, list[int]] = {}
    for path, its in _chosen(settings, wanted, references).items():
        for fate in inspection.fates_of_dead_letters(path, its, limit=limit):
            if fate.reason is Reason.PRIVACY:
                left_out["personal data: nothing is kept of it"] += 1
            elif fate.replayed:
                left_out["replayed already"] += 1
            elif not fate.whole:
                left_out["not kept whole"] += 1
            else:
                ids.setdefault(path, []).append(fate.id)
    return Plan(ids, left_out)


def replay(settings: Settings, chosen: Plan, done: Callable[[int], None]) -> list[str]:
    """Spool dead letters again: through the ingest process that uses the spool, or directly where none does.

    Args:
        settings: as loaded.
        chosen: what to replay.
        done: is told each time how many more are spooled.

    Returns:
        The spools that no process uses: what was put there is written when one does.

    Raises:
        SpoolError: a spool cannot be read or written, or it is full and no process empties it.
        SpoolFullError: the ingest process has taken none for half a minute. What it was asked for it takes later.
    """
    idle = []
    for path, ids in chosen.ids.items():
        for begin in range(0, len(ids), _CHUNK):
            chunk = ids[begin : begin + _CHUNK]
            inspection.ask_for_replay(path, chunk)
            left = len(chunk)
            waiting, since = inspection.left_to_replay(path), time.monotonic()
            while left:
                if not inspection.in_use(path):
                    _take(settings, path)
                    if path.name not in idle:
                        idle.append(path.name)
                earlier, waiting = waiting, inspection.left_to_replay(path)
                before, left = left, min(left, waiting)
                done(before - left)
                if waiting < earlier:
                    since = time.monotonic()
                elif left and time.monotonic() - since >= _PATIENCE_S:
                    raise _none_taken(path, waiting)
                if left:
                    time.sleep(_LOOK_S)
    return idle


def since_ms(written: str | None, *, now: datetime | None = None) -> int:
    """Read `90m`, `2h`, `7d` (so long ago) or a time such as `2025-06-01T08:00` (UTC where it names no zone).

    Returns:
        ms since the epoch; 0 for None.

    Raises:
        QueryError: it is neither.
    """
    if written is None:
        return 0
    match = _SPAN.fullmatch(written)
    try:
        if match is not None:
            moment = (now or datetime.now(UTC)) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        else:
            moment = datetime.fromisoformat(written)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError) as exc:
        raise QueryError(
            f"{written[:40]!r} is no time: write 90m, 2h or 7d, or a time such as 2025-06-01T08:00+08:00"
        ) from exc


def at(time_ms: int) -> str:
    """A time in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def text(payload: bytes) -> str:
    """A payload as text; bytes that are not UTF-8 are written with a backslash."""
    return payload.decode("utf-8", "backslashreplace")


def _none_taken(path: Path, waiting: int) -> SpoolFullError:
    return SpoolFullError(
        f"{path.name}: ingest has taken no dead letters for {_PATIENCE_S:.0f} s, for its spool is full or cannot be "
        f"written; it will take the {waiting:,} that it was asked for when that has changed. "
        "Look at `python -m courtyard ledger`; repeat this command for the rest"
    )


def _take(settings: Settings, path: Path) -> None:
    options = replace(wiring.ingest_options(settings), spool=path)
    try:
        with closing(Spool(path, Limits.of(options))) as spool:
            while spool.take_replays():
                pass
    except SpoolError:
        if not inspection.in_use(path):
            raise
        # An ingest process has started meanwhile, and takes them.


def _spools(settings: Settings) -> Sequence[Path]:
    folder = wiring.spool_dir(settings)
    found = all_spools(folder)
    if not found:
        raise SpoolError(f"there is no spool in {folder}; ingest makes it at its first start")
    return found


def _chosen(settings: Settings, wanted: Wanted, references: Sequence[str]) -> dict[Path, Wanted]:
    """Which letters of which spool."""
    if not references:
        return dict.fromkeys(_spools(settings), wanted)
    numbers: dict[Path, list[int]] = {}
    for each in references:
        path, number = _place(settings, each)
        if not inspection.count_dead_letters(path, Wanted(ids=(number,))):
            raise _no_such(each)
        numbers.setdefault(path, []).append(number)
    return {path: Wanted(ids=tuple(each)) for path, each in numbers.items()}


def _place(settings: Settings, reference: str) -> tuple[Path, int]:
    match = _REF.fullmatch(reference)
    if match is None:
        raise QueryError(f"{reference[:40]!r} is no number of a dead letter; `dead-letters list` shows them")
    path = {short_name(path): path for path in _spools(settings)}.get(match[1] or "")
    if path is None:
        raise _no_such(reference)
    return path, int(match[2])


def _no_such(reference: str) -> NotFoundError:
    return NotFoundError(f"there is no dead letter {reference}; `dead-letters list` shows them")
