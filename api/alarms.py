"""Alarms: what needs hands, how bad, since when, and who has taken it on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from access.callers import Scope
from alarms.alarm import Alarm, Open, Tally, Wanted
from alarms.book import Book
from alarms.errors import UnknownAlarmError
from api.context import Context
from api.errors import AlarmsAwayError
from api.models import WHOLE, Body, Model, Note, Person, Time, Title
from api.times import NS_PER_S, parse_instant, rfc3339, shown
from devices.alarms import UPLINK, Rule, Severity
from devices.errors import QueryError


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmsQuestion:
    """Which alarms are asked for.

    Attributes:
        wanted: which, but for the times.
        start: raised at or after this, as the caller wrote it.
        stop: raised before this, as the caller wrote it.
        limit: the most on a page.
        offset: how many to leave out in front.
    """

    wanted: Wanted
    start: str | None
    stop: str | None
    limit: int
    offset: int


class AlarmModel(Model):
    """One alarm."""

    id: int
    rule: Annotated[str, Field(description="Name of the rule; `uplink_down` is about a whole compound")]
    title: Title
    severity: Annotated[Severity, Field(description="ITU-T X.733")]
    kind: Annotated[str | None, Field(description="Null where it is about a whole compound")]
    compound: str
    device: Annotated[str | None, Field(description="Null where it is about a whole compound")]
    part: Annotated[str | None, Field(description="Null where it is about the whole device")]
    value: Annotated[str, Field(description="What was read as it began; empty for events")]
    advice: Title
    since: Annotated[Time, Field(description="Since when the condition held, by the device's time")]
    raised: Annotated[Time, Field(description="When it had held for as long as the rule asks")]
    cleared: Annotated[Time | None, Field(description="Null while it is open")]
    lasted_s: Annotated[float, Field(description="From raising to clearing, or until now", ge=0)]
    acknowledged: Annotated[Time | None, Field(description="Null where nobody has taken it on")]
    acknowledged_by: str | None
    note: str | None
    snoozed_until: Annotated[Time | None, Field(description="Until then nobody is told of it")]
    snoozed_by: str | None


class AlarmList(Model):
    """A page of alarms; open ones by severity, others by time, the newest first."""

    total: Annotated[int, Field(description="How many match, on all pages")]
    limit: int
    offset: int
    next_offset: Annotated[int | None, Field(description="`offset` of the next page; null on the last")]
    alarms: list[AlarmModel]


class AlarmSummary(Model):
    """How the alarms of a span fared."""

    raised: int
    open: Annotated[int, Field(description="How many of them are open now")]
    mean_acknowledge_s: Annotated[float | None, Field(description="Mean time to acknowledge; null where none was")]
    mean_repair_s: Annotated[float | None, Field(description="Mean time from raising to clearing; null where none was")]


class Acknowledgement(Body):
    """Who takes an alarm on."""

    by: Annotated[Person, Field(description="Who does")]
    note: Annotated[Note, Field(description="What they say")] = ""


class Snooze(Body):
    """For how long nobody is told of an alarm."""

    by: Annotated[Person, Field(description="Who says so")]
    minutes: Annotated[int, Field(ge=0, le=43_200, description="From now on; 0 ends it"), WHOLE]


class Alarms:
    """Answers about alarms. Any number of threads may ask at once."""

    def __init__(self, context: Context, book: Book | None) -> None:
        """Answer from a book; None where it is out of reach."""
        self._context = context
        self._kept = book
        self._rules: Mapping[tuple[str, str], Rule] = {
            (kind.name, rule.name): rule for kind in context.kinds.values() for rule in kind.rules
        }

    def find(self, question: AlarmsQuestion) -> AlarmList:
        """A page of alarms; raises QueryError, NotFoundError, AlarmsAwayError, RecordsError."""
        total, found = self._book.find(self._wanted(question), limit=question.limit, offset=question.offset)
        end = question.offset + len(found)
        return AlarmList(
            total=total,
            limit=question.limit,
            offset=question.offset,
            next_offset=end if found and end < total else None,
            alarms=[self._model(each) for each in found],
        )

    def summary(self, question: AlarmsQuestion) -> AlarmSummary:
        """How alarms fared; raises QueryError, NotFoundError, AlarmsAwayError, RecordsError."""
        wanted = self._wanted(replace(question, wanted=replace(question.wanted, state=Open.ALL)))
        found = self._book.summary(wanted)
        return AlarmSummary(
            raised=found.raised,
            open=found.open,
            mean_acknowledge_s=found.mean_acknowledge_s,
            mean_repair_s=found.mean_clear_s,
        )

    @property
    def there(self) -> bool:
        """Whether alarms can be asked about."""
        return self._kept is not None

    def rule(self, kind: str, name: str) -> Rule | None:
        """A rule by the name of its kind, "" for those about whole compounds; None where it is gone."""
        return self._rules.get((kind, name), UPLINK if not kind else None)

    def tallies(self, wanted: Wanted, *, by_device: bool) -> list[Tally]:
        """How many there were by rule, or by rule and device; raises AlarmsAwayError, RecordsError."""
        return self._book.tallies(self._seen(wanted), now_ns=self._context.clock(), by_device=by_device)

    def get(self, number: int) -> AlarmModel:
        """One alarm; raises UnknownAlarmError, AlarmsAwayError, RecordsError."""
        return self._model(self._found(number))

    def acknowledge(self, number: int, said: Acknowledgement) -> AlarmModel:
        """Take one on; raises UnknownAlarmError, AcknowledgedError, AlarmsAwayError, RecordsError."""
        self._context.caller.require(Scope.ACKNOWLEDGE)
        self._found(number)
        now_ns = self._context.clock()
        self._context.record("alarm.acknowledge", str(number), by=said.by)
        return self._model(self._book.acknowledge(number, by=said.by, note=said.note, now_ns=now_ns))

    def snooze(self, number: int, said: Snooze) -> AlarmModel:
        """Have nobody told for a while; raises UnknownAlarmError, AlarmsAwayError, RecordsError."""
        self._context.caller.require(Scope.ACKNOWLEDGE)
        self._found(number)
        self._context.record("alarm.snooze", str(number), by=said.by, minutes=said.minutes)
        until_ns = self._context.clock() + said.minutes * 60 * NS_PER_S
        return self._model(self._book.snooze(number, by=said.by, until_ns=until_ns))

    @property
    def _book(self) -> Book:
        if self._kept is None:
            raise AlarmsAwayError("this API does not know where alarms are kept: set COURTYARD_RECORDS_URL")
        return self._kept

    def _found(self, number: int) -> Alarm:
        """One that the caller may see; raises UnknownAlarmError, AlarmsAwayError, RecordsError."""
        found = self._book.get(number)
        inventory = self._context.inventory
        if not inventory.is_whole and found.compound not in inventory.compounds:
            raise UnknownAlarmError(f"there is no alarm {number}; /v1/alarms lists them")
        return found

    def _seen(self, wanted: Wanted) -> Wanted:
        """Of those wanted the ones that the caller may see."""
        inventory = self._context.inventory
        return wanted if inventory.is_whole else replace(wanted, compounds=tuple(inventory.compounds))

    def _wanted(self, question: AlarmsQuestion) -> Wanted:
        wanted, now_ns = question.wanted, self._context.clock()
        zone = ZoneInfo("UTC")
        if wanted.compound is not None:
            zone = self._context.compound(wanted.compound).timezone
        if wanted.device is not None:
            self._context.device(wanted.device)
        kinds = tuple(self._context.kind(name).name for name in wanted.kinds)
        known = {name for _, name in self._rules} | {UPLINK.name}
        if unknown := sorted(set(wanted.rules) - known):
            raise QueryError(
                f"rule={shown(unknown[0])} is unknown; send one of {', '.join(sorted(known))}", code="unknown_rule"
            )
        start, stop = (
            None if text is None else parse_instant(name, text, now_ns=now_ns, tz=zone)
            for name, text in (("start", question.start), ("stop", question.stop))
        )
        return self._seen(replace(wanted, kinds=kinds, start_ns=start, stop_ns=stop))

    def _model(self, alarm: Alarm) -> AlarmModel:
        compound = self._context.inventory.compounds.get(alarm.compound)
        zone = ZoneInfo("UTC") if compound is None else compound.timezone
        # What a rule that is gone was called nobody knows any more.
        rule = self.rule(alarm.kind, alarm.rule)
        title = Title(en=alarm.rule, zh=alarm.rule) if rule is None else Title.of(rule.title)
        advice = Title(en="", zh="") if rule is None else Title.of(rule.advice)
        end_ns = self._context.clock() if alarm.cleared_ns is None else alarm.cleared_ns
        taken = alarm.acknowledged_ns
        return AlarmModel(
            id=alarm.id,
            rule=alarm.rule,
            title=title,
            severity=alarm.severity,
            kind=alarm.kind or None,
            compound=alarm.compound,
            device=alarm.device or None,
            part=alarm.part or None,
            value=alarm.value,
            advice=advice,
            since=rfc3339(alarm.since_ns, zone),
            raised=rfc3339(alarm.raised_ns, zone),
            cleared=None if alarm.cleared_ns is None else rfc3339(alarm.cleared_ns, zone),
            lasted_s=max(end_ns - alarm.raised_ns, 0) / NS_PER_S,
            acknowledged=None if taken is None else rfc3339(taken, zone),
            acknowledged_by=alarm.acknowledged_by,
            note=alarm.note,
            snoozed_until=None if alarm.snoozed_until_ns is None else rfc3339(alarm.snoozed_until_ns, zone),
            snoozed_by=alarm.snoozed_by,
        )
