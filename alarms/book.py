"""The book of alarms: what was raised, acknowledged and cleared, and where every rule stands, in the records."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from alarms.alarm import SEVERITIES, Alarm, Open, Summary, Tally, Wanted
from alarms.errors import AcknowledgedError, UnknownAlarmError
from alarms.outbox import put
from alarms.standing import Change, Standing, Subject, What
from alarms.targets import Target
from devices.alarms import Severity
from devices.columns import SeriesKey
from records.database import Database
from records.schema import ALARMS, SEEN, STANDINGS

_VALUE_CHARS = 64
_KEYS = ("kind", "rule", "compound", "device", "part")


class Book:
    """The book. One worker writes; anybody may read and acknowledge."""

    def __init__(self, database: Database) -> None:
        """Keep it in a database."""
        self._database = database

    def standings(self) -> dict[Subject, Standing]:
        """Where every rule stands for every subject of which anything is remembered; raises `RecordsError`."""
        with self._database.begin() as connection:
            rows = connection.execute(select(STANDINGS)).all()
        return {Subject(*row[:5]): Standing.of(json.loads(row.kept)) for row in rows}

    def seen(self) -> dict[tuple[str, SeriesKey], int]:
        """The time of the newest row of each series that was looked at, by measurement; raises `RecordsError`."""
        with self._database.begin() as connection:
            rows = connection.execute(select(SEEN)).all()
        return {(row.measurement, SeriesKey(row.compound, row.device, row.part)): row.time_ns for row in rows}

    def write(
        self,
        changes: Sequence[tuple[Change, Severity]],
        standings: Mapping[Subject, Standing],
        seen: Mapping[tuple[str, SeriesKey], int],
        *,
        targets: Sequence[Target] = (),
        now_ns: int = 0,
    ) -> None:
        """Write what has changed, all or nothing.

        Args:
            changes: alarms raised and cleared, in order.
            standings: where rules stand now; what is idle is let go of.
            seen: as `seen` gives it.
            targets: who may want to be told of the changes.
            now_ns: the present.

        Raises:
            RecordsError: nothing was written.
        """
        with self._database.begin() as connection:
            for change, severity in changes:
                number = _apply(connection, change, severity)
                if number is not None:
                    wanting = [each for each in targets if each.wants(change.what, severity, change.subject.compound)]
                    put(connection, wanting, number, change.what, now_ns)
            _replace(
                connection,
                STANDINGS,
                [dict(zip(_KEYS, subject, strict=True)) for subject in standings],
                [
                    {**dict(zip(_KEYS, subject, strict=True)), "kept": json.dumps(each.kept())}
                    for subject, each in standings.items()
                    if not each.is_idle
                ],
            )
            keys = [{"measurement": name, **key._asdict()} for name, key in seen]
            times = [{**key, "time_ns": time} for key, time in zip(keys, seen.values(), strict=True)]
            _replace(connection, SEEN, keys, times)

    def find(self, wanted: Wanted, *, limit: int, offset: int = 0) -> tuple[int, list[Alarm]]:
        """How many alarms match, and a page of them: open ones by severity, others by time, the newest first.

        Raises:
            RecordsError: the records cannot be read.
        """
        rank = case({str(each): number for number, each in enumerate(SEVERITIES)}, value=ALARMS.c.severity)
        order: list[ColumnElement[Any]] = [ALARMS.c.raised_ns.desc(), ALARMS.c.id.desc()]
        if wanted.state is Open.OPEN:
            order.insert(0, rank)
        with self._database.begin() as connection:
            total = connection.execute(_where(select(func.count()).select_from(ALARMS), wanted)).scalar_one()
            rows = (
                connection.execute(_where(select(ALARMS), wanted).order_by(*order).limit(limit).offset(offset))
                .mappings()
                .all()
            )
        return total, [Alarm.of(row) for row in rows]

    def get(self, number: int) -> Alarm:
        """One alarm; raises `UnknownAlarmError` and `RecordsError`."""
        with self._database.begin() as connection:
            return _get(connection, number)

    def acknowledge(self, number: int, *, by: str, note: str, now_ns: int) -> Alarm:
        """Take an alarm on; of two at once one does.

        Args:
            number: the alarm's.
            by: who does.
            note: what they say.
            now_ns: the present.

        Returns:
            The alarm.

        Raises:
            UnknownAlarmError: there is none.
            AcknowledgedError: somebody has already; the error says who.
            RecordsError: the records cannot be written.
        """
        taken = and_(ALARMS.c.id == number, ALARMS.c.acknowledged_ns.is_(None))
        with self._database.begin() as connection:
            done = connection.execute(
                update(ALARMS).where(taken).values(acknowledged_ns=now_ns, acknowledged_by=by, note=note)
            )
            alarm = _get(connection, number)
            if not done.rowcount:
                raise AcknowledgedError(f"alarm {number} was acknowledged by {alarm.acknowledged_by} already")
            return alarm

    def snooze(self, number: int, *, by: str, until_ns: int) -> Alarm:
        """Have nobody told of an alarm for a while; the last call counts.

        Args:
            number: the alarm's.
            by: who does.
            until_ns: until when.

        Returns:
            The alarm.

        Raises:
            UnknownAlarmError: there is none.
            RecordsError: the records cannot be written.
        """
        with self._database.begin() as connection:
            connection.execute(
                update(ALARMS).where(ALARMS.c.id == number).values(snoozed_until_ns=until_ns, snoozed_by=by)
            )
            return _get(connection, number)

    def summary(self, wanted: Wanted) -> Summary:
        """How the alarms that match fared; raises `RecordsError`."""
        c = ALARMS.c
        columns = (
            func.count(),
            func.count().filter(c.cleared_ns.is_(None)),
            func.avg((c.acknowledged_ns - c.raised_ns) / 1e9),
            func.avg((c.cleared_ns - c.raised_ns) / 1e9),
        )
        with self._database.begin() as connection:
            raised, is_open, acknowledge, clear = connection.execute(
                _where(select(*columns).select_from(ALARMS), wanted)
            ).one()
        return Summary(
            raised=raised,
            open=is_open,
            mean_acknowledge_s=None if acknowledge is None else max(float(acknowledge), 0.0),
            mean_clear_s=None if clear is None else float(clear),
        )

    def tallies(self, wanted: Wanted, *, now_ns: int, by_device: bool, most: int = 1000) -> list[Tally]:
        """How many alarms there were by rule, or by rule and device, the most first.

        Args:
            wanted: which.
            now_ns: the present.
            by_device: whether each device counts for itself.
            most: give so many at most.

        Raises:
            RecordsError: the records cannot be read.
        """
        c = ALARMS.c
        keys = [c.kind, c.rule, c.severity, *([c.compound, c.device] if by_device else [])]
        seconds = func.sum((func.coalesce(c.cleared_ns, now_ns) - c.raised_ns) / 1e9)
        columns = [*keys, func.count().label("number"), seconds.label("seconds")]
        chosen = _where(select(*columns).select_from(ALARMS), wanted).group_by(*keys)
        with self._database.begin() as connection:
            rows = connection.execute(chosen.order_by(func.count().desc(), *keys).limit(most)).mappings().all()
        return [
            Tally(
                kind=row["kind"], rule=row["rule"], severity=Severity(row["severity"]),
                compound=row.get("compound", ""), device=row.get("device", ""),
                number=row["number"], seconds=max(float(row["seconds"]), 0.0),
            )
            for row in rows
        ]  # fmt: skip


def _apply(connection: Connection, change: Change, severity: Severity) -> int | None:
    """Raise or clear an alarm; its number, or None where none was open."""
    key = "/".join(change.subject)
    if change.what is What.CLEARED:
        closed = update(ALARMS).where(ALARMS.c.open_key == key).values(cleared_ns=change.at_ns, open_key=None)
        return connection.execute(closed.returning(ALARMS.c.id)).scalar_one_or_none()
    opened = insert(ALARMS).values(
        **change.subject._asdict(),
        severity=str(severity),
        value=change.value[:_VALUE_CHARS],
        since_ns=change.since_ns,
        raised_ns=change.at_ns,
        open_key=key,
    )
    return int(connection.execute(opened.returning(ALARMS.c.id)).scalar_one())


def _replace(
    connection: Connection, table: Table, keys: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Put rows in the place of those with some keys."""
    if keys:
        by_key = and_(*(column == bindparam(f"key_{column.name}") for column in table.primary_key))
        connection.execute(
            delete(table).where(by_key), [{f"key_{name}": value for name, value in key.items()} for key in keys]
        )
    if rows:
        connection.execute(insert(table), list(rows))


def _where(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    c = ALARMS.c
    conditions: Iterable[Any] = [
        *([c.cleared_ns.is_(None)] if wanted.state is Open.OPEN else []),
        *([c.cleared_ns.is_not(None)] if wanted.state is Open.CLEARED else []),
        *([c.compound == wanted.compound] if wanted.compound is not None else []),
        *([c.compound.in_(wanted.compounds)] if wanted.compounds is not None else []),
        *([c.device == wanted.device] if wanted.device is not None else []),
        *([c.kind.in_(wanted.kinds)] if wanted.kinds else []),
        *([c.rule.in_(wanted.rules)] if wanted.rules else []),
        *([c.severity.in_([str(each) for each in wanted.severities])] if wanted.severities else []),
        *([c.acknowledged_ns.is_not(None) == wanted.acknowledged] if wanted.acknowledged is not None else []),
        *([c.raised_ns >= wanted.start_ns] if wanted.start_ns is not None else []),
        *([c.raised_ns < wanted.stop_ns] if wanted.stop_ns is not None else []),
    ]
    return statement.where(*conditions)


def _get(connection: Connection, number: int) -> Alarm:
    row = connection.execute(select(ALARMS).where(ALARMS.c.id == number)).mappings().one_or_none()
    if row is None:
        raise UnknownAlarmError(f"there is no alarm {number}; /v1/alarms lists them")
    return Alarm.of(row)
