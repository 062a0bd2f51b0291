"""The migrations make just what the tables are declared as, and may run again and again."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from devices.errors import SettingsError
from records.database import Database
from records.schema import METADATA


def test_migrations_make_what_is_declared(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    for _ in range(2):
        database.migrate()
    with database.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    database.close()


@pytest.mark.parametrize("url", ["", "nothing", "mars://host/db", "sqlite"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="COURTYARD_RECORDS_URL"):
        Database(url)
