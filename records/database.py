"""The database of records, its migrations, and its errors translated."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy
from alembic.util.exc import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from devices.errors import SettingsError
from records.errors import RecordsError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MS = 10_000


class Database:
    """A database of records. Any number of threads may use it."""

    def __init__(self, url: str) -> None:
        """Prepare to connect.

        Args:
            url: as SQLAlchemy writes it: "sqlite:////var/lib/courtyard/records.db",
                "postgresql+psycopg://user:password@host/name".

        Raises:
            SettingsError: it is no such address, or its driver is not installed.
        """
        try:
            self._engine = sqlalchemy.create_engine(url, pool_pre_ping=True)
        except (ArgumentError, ImportError, ValueError) as exc:
            raise SettingsError(
                f"COURTYARD_RECORDS_URL is no database that can be used ({exc}); write sqlite:///records.db"
            ) from exc
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _careful)
            event.listen(self._engine, "begin", _begin)

    def migrate(self) -> None:
        """Bring its tables up to date, making them where there are none; raises `RecordsError`."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        # Alone: several processes start at once, and find no tables.
        with self.begin(alone=True) as connection:
            config.attributes["connection"] = connection
            try:
                alembic.command.upgrade(config, "head")
            except CommandError as exc:
                raise RecordsError(f"the records are of another version: {exc}; update Courtyard") from exc

    @contextmanager
    def begin(self, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction: committed where the block ends, rolled back where it raises.

        Args:
            alone: whether nobody may write meanwhile, from the beginning on (SQLite).

        Raises:
            RecordsError: the database failed.
        """
        try:
            with self._engine.connect().execution_options(alone=alone) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as exc:
            # The statement and its parameters are not for the log.
            said = str(getattr(exc, "orig", None) or exc).splitlines()[0]
            raise RecordsError(f"the records cannot be read or written: {said}") from exc

    def forget(self) -> None:
        """Overwrite what was deleted, in the file and its journal (SQLite); raises `RecordsError`."""
        if self._engine.dialect.name != "sqlite":
            return
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                raw = connection.connection.driver_connection
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    raw.execute(statement)  # type: ignore[union-attr]  # a SQLite connection
        except (SQLAlchemyError, sqlite3.Error) as exc:
            raise RecordsError(f"what was deleted cannot be overwritten: {exc}") from exc

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def _begin(connection: Connection) -> None:
    """Begin a transaction ourselves: Python's own driver begins one before some statements only."""
    alone = connection.get_execution_options().get("alone", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")


def _careful(connection: object, _: ConnectionPoolEntry) -> None:
    """Survive power loss, and wait for others instead of failing."""
    connection.isolation_level = None  # type: ignore[attr-defined]  # a DBAPI connection; see `_begin`
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DBAPI connection
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {_BUSY_MS}", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
