"""Reports: a day or a month of one compound or of all, for people: what was down, what was used, what comes next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from alarms.alarm import Open, Tally, Wanted
from api import statistics
from api.alarms import AlarmModel, Alarms, AlarmsQuestion, AlarmSummary
from api.answers import Period as Figures
from api.context import Context
from api.export import Turn, zone_of
from api.forecast import forecasts
from api.models import Model, Time, Title
from api.statistics import StatisticsQuestion
from api.times import NS_PER_S, Span, rfc3339, shown
from devices.alarms import OFFLINE, UPLINK, Rule, Severity
from devices.errors import QueryError
from devices.inventory import Compound
from devices.statistics import Group

_DOWN = 200
"""So many outages are listed."""
_WATCHED = 20
_REPEATED = 3
"""A device that raised so many alarms of one rule is watched."""
_SOON_S = 2 * 86_400


class Length(StrEnum):
    """How long a report is about."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportQuestion:
    """Which report is asked for.

    Attributes:
        length: a day or a month.
        date: which, as the caller wrote it; the present one where None.
        compound: id of a compound; None for all together.
    """

    length: Length
    date: str | None
    compound: str | None


class ReportFigure(Model):
    """One figure of the period, beside the period before."""

    group: Group
    kind: str
    kind_title: Title
    statistic: str
    title: Title
    unit: str
    definition: str
    label: Annotated[str | None, Field(description="The part or category that it is about; null for the only one")]
    label_title: Title | None
    value: Annotated[float | None, Field(description="Null where unobserved, never zero for it")]
    coverage: Annotated[float, Field(description="The fraction of the period that was observed, 0 to 1")]
    previous: Annotated[float | None, Field(description="The same of the period before")]
    change: Annotated[float | None, Field(description="value / previous - 1; null where there is no such number")]


class RuleCount(Model):
    """How often a rule was broken."""

    rule: str
    title: Title
    severity: Severity
    kind: Annotated[str | None, Field(description="Null where it is about whole compounds")]
    number: int
    lasted_s: Annotated[float, Field(description="Seconds, of all of them together")]


class Watched(Model):
    """A device that raised the same alarm again and again: it is likely to fail."""

    compound: str
    device: str
    rule: str
    title: Title
    number: int
    lasted_s: float


class LikelyFull(Model):
    """What is likely to be full soon."""

    compound: str
    device: str
    part: str | None
    part_title: Title | None
    in_s: Annotated[float, Field(description="Seconds from now on")]
    low_s: Annotated[float | None, Field(description="At least so many, 9 times of 10; null with too little history")]
    high_s: float | None


class Report(Model):
    """A report."""

    length: Length
    start: Time
    stop: Annotated[Time, Field(description="End of the period, not in it; now, while it is not over")]
    complete: Annotated[bool, Field(description="Whether the period is over")]
    previous_start: Time
    previous_stop: Annotated[Time, Field(description="As far into the period before as this one has come")]
    timezone: str
    compound: Annotated[str | None, Field(description="Null for all together")]
    name: Title
    made: Time
    alarms: Annotated[AlarmSummary | None, Field(description="Null where this API cannot reach the alarms")]
    by_rule: list[RuleCount]
    down: Annotated[list[AlarmModel], Field(description=f"Outages, the newest first; {_DOWN} at most")]
    down_total: int
    watched: list[Watched]
    likely_full: Annotated[list[LikelyFull], Field(description="Within two days from now on; empty for what is past")]
    figures: list[ReportFigure]


@dataclass(frozen=True, slots=True)
class _Periods:
    """The period, and the one before; both by the wall clock of `zone`."""

    zone: ZoneInfo
    span: Span
    previous: Span
    complete: bool


def report(context: Context, alarms: Alarms, question: ReportQuestion, turn: Turn) -> Report:
    """Make a report.

    Args:
        context: the world.
        alarms: answers about alarms.
        question: which.
        turn: entered while history is read.

    Returns:
        The report.

    Raises:
        NotFoundError: there is no such compound.
        QueryError: the date cannot be read, or lies in the future; or the compounds share no days.
        StoreError: the store failed.
        RecordsError: the alarms cannot be read.
    """
    compound = None if question.compound is None else context.compound(question.compound)
    zone = _zone(context, compound)
    now_ns = context.clock()
    periods = _periods(question, now_ns, zone)
    wanted = Wanted(
        state=Open.ALL, compound=question.compound, start_ns=periods.span.start_ns, stop_ns=periods.span.stop_ns
    )
    by_rule, watched, down, down_total, summary = [], [], [], 0, None
    if alarms.there:
        by_rule, watched = alarms.tallies(wanted, by_device=False), alarms.tallies(wanted, by_device=True)
        asked = AlarmsQuestion(wanted=wanted, start=None, stop=None, limit=_DOWN, offset=0)
        summary = alarms.summary(asked)
        outages = Wanted(
            state=Open.ALL, compound=question.compound, rules=(OFFLINE.name, UPLINK.name),
            start_ns=periods.span.start_ns, stop_ns=periods.span.stop_ns,
        )  # fmt: skip
        found = alarms.find(AlarmsQuestion(wanted=outages, start=None, stop=None, limit=_DOWN, offset=0))
        down, down_total = found.alarms, found.total
    with turn():
        figures = list(_figures(context, compound, periods))
        soon = [] if periods.complete else _likely_full(context, compound)
    return Report(
        length=question.length,
        start=rfc3339(periods.span.start_ns, zone),
        stop=rfc3339(periods.span.stop_ns, zone),
        complete=periods.complete,
        previous_start=rfc3339(periods.previous.start_ns, zone),
        previous_stop=rfc3339(periods.previous.stop_ns, zone),
        timezone=zone.key,
        compound=question.compound,
        name=Title.of(context.inventory.name if compound is None else compound.name),
        made=rfc3339(now_ns, zone),
        alarms=summary,
        by_rule=[_rule_count(alarms, each) for each in by_rule],
        down=down,
        down_total=down_total,
        watched=[_watched(alarms, each) for each in watched if each.device and each.number >= _REPEATED][:_WATCHED],
        likely_full=soon,
        figures=figures,
    )


def _zone(context: Context, compound: Compound | None) -> ZoneInfo:
    return zone_of(context, () if compound is None else (compound.id,))


def _periods(question: ReportQuestion, now_ns: int, zone: ZoneInfo) -> _Periods:
    today = datetime.fromtimestamp(now_ns // NS_PER_S, zone).date()
    first = _first(question, today)
    if question.length is Length.MONTH:
        after, before = _month(first, 1), _month(first, -1)
    else:
        after, before = first + timedelta(days=1), first - timedelta(days=1)
    start, end, earlier = (_midnight(each, zone) for each in (first, after, before))
    if start >= now_ns:
        raise QueryError(f"{first} has not begun yet in {zone.key}; ask for an earlier one", code="time")
    stop = min(end, now_ns)
    complete = stop == end
    previous = start if complete else min(earlier + (stop - start), start)
    return _Periods(zone, Span(start, stop), Span(earlier, previous), complete)


def _first(question: ReportQuestion, today: date) -> date:
    """The first day of the period."""
    month = question.length is Length.MONTH
    if question.date is None:
        return today.replace(day=1) if month else today
    try:
        found = date.fromisoformat(f"{question.date}-01" if month else question.date)
    except ValueError:
        found = None
    if found is None or not 1971 <= found.year <= 2200:
        how = "a month like 2026-11" if month else "a day like 2026-11-30"
        raise QueryError(f"date={shown(question.date)}: write {how}", code="time")
    return found


def _month(first: date, by: int) -> date:
    months = first.year * 12 + first.month - 1 + by
    return date(months // 12, months % 12 + 1, 1)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * NS_PER_S


def _figures(context: Context, compound: Compound | None, periods: _Periods) -> Iterator[ReportFigure]:
    for group in (Group.USAGE, Group.OCCUPANCY, Group.AVAILABILITY):
        found, before = (_asked(context, compound, group, span) for span in (periods.span, periods.previous))
        for kind, of_kind in found.kinds.items():
            for name, statistic in of_kind.statistics.items():
                earlier = before.kinds[kind].statistics[name].lines if kind in before.kinds else []
                previous = {line.label: line.values[0] for line in earlier}
                for line in statistic.lines:
                    value, past = line.values[0], previous.get(line.label)
                    word = None if line.label is None else Title.of(context.kinds[kind].word(line.label))
                    yield ReportFigure(
                        group=group,
                        kind=kind,
                        kind_title=of_kind.title,
                        statistic=name,
                        title=statistic.title,
                        unit=statistic.unit,
                        definition=statistic.definition,
                        label=line.label,
                        label_title=word,
                        value=value,
                        coverage=line.coverage[0],
                        previous=past,
                        change=value / past - 1 if value is not None and past else None,
                    )


def _asked(context: Context, compound: Compound | None, group: Group, span: Span) -> Figures:
    # A month holds a day whole, so either way there is one bucket.
    question = StatisticsQuestion(start=str(span.start_ns), stop=str(span.stop_ns), every="1mo")
    if compound is None:
        return statistics.fleet(context, group, question)
    return statistics.answer(context, compound, group, question)


def _likely_full(context: Context, compound: Compound | None) -> list[LikelyFull]:
    compounds = context.inventory.compounds.values() if compound is None else (compound,)
    return [
        LikelyFull(
            compound=each.device.compound,
            device=each.device.id,
            part=each.part,
            part_title=None if each.part is None else Title.of(context.kinds[each.device.kind].word(each.part)),
            in_s=each.seconds,
            low_s=each.low,
            high_s=each.high,
        )
        for each in forecasts(context, compounds, within_s=_SOON_S)
    ]


def _title(alarms: Alarms, tally: Tally) -> Title:
    rule: Rule | None = alarms.rule(tally.kind, tally.rule)
    return Title(en=tally.rule, zh=tally.rule) if rule is None else Title.of(rule.title)


def _rule_count(alarms: Alarms, tally: Tally) -> RuleCount:
    return RuleCount(
        rule=tally.rule,
        title=_title(alarms, tally),
        severity=tally.severity,
        kind=tally.kind or None,
        number=tally.number,
        lasted_s=tally.seconds,
    )


def _watched(alarms: Alarms, tally: Tally) -> Watched:
    return Watched(
        compound=tally.compound,
        device=tally.device,
        rule=tally.rule,
        title=_title(alarms, tally),
        number=tally.number,
        lasted_s=tally.seconds,
    )
