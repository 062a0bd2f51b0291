"""The calendar of maintenance windows, in the records."""

from sqlalchemy import delete, insert, select

from alarms.errors import UnknownWindowError
from alarms.windows import Window
from records.database import Database
from records.schema import MAINTENANCE

_MOST = 10_000


class Calendar:
    """The calendar. Anybody may read and write it."""

    def __init__(self, database: Database) -> None:
        """Keep it in a database."""
        self._database = database

    def since(self, now_ns: int) -> list[Window]:
        """The windows that are not over, by their beginning; raises `RecordsError`."""
        c = MAINTENANCE.c
        wanted = select(MAINTENANCE).where(c.stop_ns > now_ns).order_by(c.start_ns, c.id).limit(_MOST)
        with self._database.begin() as connection:
            return [Window(**row) for row in connection.execute(wanted).mappings()]

    def add(self, window: Window) -> Window:
        """Add a window; its `id` is chosen here.

        Returns:
            It, with its number.

        Raises:
            RecordsError: the records cannot be written.
        """
        values = {name: getattr(window, name) for name in ("compound", "device", "start_ns", "stop_ns", "by", "note")}
        with self._database.begin() as connection:
            number = connection.execute(insert(MAINTENANCE).values(**values).returning(MAINTENANCE.c.id)).scalar_one()
        return Window(id=number, **values)

    def get(self, number: int) -> Window:
        """One window; raises `UnknownWindowError` and `RecordsError`."""
        with self._database.begin() as connection:
            row = connection.execute(select(MAINTENANCE).where(MAINTENANCE.c.id == number)).mappings().one_or_none()
        if row is None:
            raise UnknownWindowError(f"there is no maintenance window {number}; /v1/maintenance lists them")
        return Window(**row)

    def remove(self, number: int) -> None:
        """End a window; raises `UnknownWindowError` and `RecordsError`."""
        with self._database.begin() as connection:
            done = connection.execute(delete(MAINTENANCE).where(MAINTENANCE.c.id == number))
        if not done.rowcount:
            raise UnknownWindowError(f"there is no maintenance window {number}; /v1/maintenance lists them")
