"""What commands work on when they let somebody in or out: the records, opened for one command."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from courtyard import logs, wiring
from courtyard.settings import Settings, load

if TYPE_CHECKING:
    from access.audit import Audit
    from access.office import Office
    from records.database import Database

OPERATOR = "command"
"""Who does what is done at the command line, in the audit log: it has the rights of who may read the records' file."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The records by subject.

    Attributes:
        settings: as loaded.
        database: holds all of it.
        office: lists, makes and ends keys and people.
        audit: the audit log.
    """

    settings: Settings
    database: "Database"
    office: "Office"
    audit: "Audit"

    def record(self, what: str, about: str = "", **detail: object) -> None:
        """Write down what the operator does; raises `RecordsError`."""
        self.audit.write(OPERATOR, what, about, **detail)


@contextmanager
def desk() -> Iterator[Desk]:
    """Open the records; raises `SettingsError` and `RecordsError`."""
    # Here: the command line names these commands, and ingest, which is one of its commands, does without all of this.
    from access.audit import Audit  # noqa: PLC0415
    from access.callers import Caller  # noqa: PLC0415
    from access.doors import Doors  # noqa: PLC0415
    from access.office import Office  # noqa: PLC0415

    settings = load()
    logs.configure("console", "error")
    with closing(wiring.open_records(settings)) as database:
        office = Office(Doors(database), Caller(id=OPERATOR, name=OPERATOR))
        yield Desk(settings, database, office, Audit(database))


def moment(time_ns: int) -> str:
    """A time as these commands show it."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
