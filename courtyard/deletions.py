"""What was deleted for good: kept in the records, and beside the backups, so that no older one brings it back."""

import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import insert, select

from devices.errors import SettingsError
from records.database import Database
from records.schema import DELETIONS

FILE = "deletions.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """One deletion.

    Attributes:
        id: tells it from others.
        compound: whose data.
        before_ns: what lies before this, ns since the epoch.
        at_ns: when it was ordered.
        who: by whom.
    """

    id: str
    compound: str
    before_ns: int
    at_ns: int
    who: str

    @classmethod
    def ordered(cls, compound: str, before_ns: int, who: str) -> "Deletion":
        """A new one."""
        return cls(id=uuid.uuid4().hex, compound=compound, before_ns=before_ns, at_ns=time.time_ns(), who=who)


def kept(database: Database) -> list[Deletion]:
    """Those in the records; raises `RecordsError`."""
    with database.begin() as connection:
        return [Deletion(**row) for row in connection.execute(select(DELETIONS)).mappings()]


def keep(database: Database, deletions: Iterable[Deletion]) -> None:
    """Add to the records those that they lack; raises `RecordsError`."""
    there = {each.id for each in kept(database)}
    rows = [asdict(each) for each in deletions if each.id not in there]
    if rows:
        with database.begin() as connection:
            connection.execute(insert(DELETIONS), rows)


def noted(folder: Path) -> list[Deletion]:
    """Those noted in a folder of backups; raises `SettingsError`."""
    path = folder / FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [Deletion(**json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError) as exc:
        raise SettingsError(f"{path} cannot be read, and says what must not come back: {exc}") from exc


def note(folder: Path, deletion: Deletion) -> None:
    """Note one in a folder of backups; raises `SettingsError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(deletion)) + "\n")
    except OSError as exc:
        raise SettingsError(f"the deletion cannot be noted in {folder}: {exc.strerror}") from exc
