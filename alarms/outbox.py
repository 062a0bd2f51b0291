"""The outbox: who has yet to be told of which alarm, in the records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, distinct, func, insert, select, update

from alarms.alarm import Alarm
from alarms.standing import What
from alarms.targets import Target
from records.database import Database
from records.schema import ALARMS, NOTICES

_MOST = 2000


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody is to be told.

    Attributes:
        id: its number.
        what: raised or cleared.
        alarm: the alarm, as it is now.
        created_ns: since when it waits.
        tries: how often it could not be sent.
    """

    id: int
    what: What
    alarm: Alarm
    created_ns: int
    tries: int


class Outbox:
    """The outbox. One sender for each target takes from it."""

    def __init__(self, database: Database) -> None:
        """Keep it in a database."""
        self._database = database

    def waiting(self, target: str, now_ns: int) -> list[Notice]:
        """What a target is to be told, the oldest first; raises `RecordsError`."""
        c = NOTICES.c
        mine = (c.target == target, c.sent_ns.is_(None), c.given_up_ns.is_(None), c.next_ns <= now_ns)
        notices = select(NOTICES).where(*mine).order_by(c.id).limit(_MOST)
        with self._database.begin() as connection:
            rows = connection.execute(notices).mappings().all()
            wanted = {row["alarm"] for row in rows}
            found = connection.execute(select(ALARMS).where(ALARMS.c.id.in_(wanted))).mappings().all()
        alarms = {row["id"]: Alarm.of(row) for row in found}
        return [
            Notice(row["id"], What(row["what"]), alarms[row["alarm"]], row["created_ns"], row["tries"]) for row in rows
        ]

    def messages_since(self, target: str, since_ns: int) -> int:
        """How many messages a target was sent since an instant; raises `RecordsError`."""
        c = NOTICES.c
        counted = select(func.count(distinct(c.sent_ns))).where(c.target == target, c.sent_ns >= since_ns)
        with self._database.begin() as connection:
            return int(connection.execute(counted).scalar_one())

    def sent(self, notices: Sequence[Notice], now_ns: int) -> None:
        """They were sent, in one message; raises `RecordsError`."""
        self._note(notices, sent_ns=now_ns)

    def again(self, target: str, notices: Sequence[Notice], next_ns: int) -> None:
        """Tell of the same alarms once more, later; raises `RecordsError`."""
        with self._database.begin() as connection:
            for each in notices:
                _insert(connection, {target: next_ns}, each.alarm.id, each.what)

    def later(self, notices: Sequence[Notice], next_ns: int) -> None:
        """They could not be sent, and are to be tried again; raises `RecordsError`."""
        with self._database.begin() as connection:
            connection.execute(
                update(NOTICES)
                .where(NOTICES.c.id.in_([each.id for each in notices]))
                .values(next_ns=next_ns, tries=NOTICES.c.tries + 1)
            )

    def give_up(self, notices: Sequence[Notice], now_ns: int) -> None:
        """They cannot be sent; raises `RecordsError`."""
        self._note(notices, given_up_ns=now_ns)

    def _note(self, notices: Sequence[Notice], **values: int) -> None:
        with self._database.begin() as connection:
            connection.execute(update(NOTICES).where(NOTICES.c.id.in_([each.id for each in notices])).values(**values))


def put(connection: Connection, targets: Sequence[Target], alarm: int, what: What, now_ns: int) -> None:
    """Have targets told that an alarm was raised or cleared.

    A target that is told of an alarm only after a while is told that it was cleared if it was told of it.
    """
    told = select(NOTICES.c.target).where(NOTICES.c.alarm == alarm, NOTICES.c.sent_ns.is_not(None))
    knowing = set(connection.execute(told).scalars()) if what is What.CLEARED else set()
    due = {
        each.name: now_ns + (round(each.after_s * 1e9) if what is What.RAISED else 0)
        for each in targets
        if what is What.RAISED or not each.after_s or each.name in knowing
    }
    _insert(connection, due, alarm, what)


def _insert(connection: Connection, due: Mapping[str, int], alarm: int, what: What) -> None:
    rows = [
        {"target": name, "alarm": alarm, "what": str(what), "created_ns": due_ns, "tries": 0, "next_ns": due_ns}
        for name, due_ns in due.items()
    ]
    if rows:
        connection.execute(insert(NOTICES), rows)
