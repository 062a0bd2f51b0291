"""The rules of one kind over what its devices send: conditions that begin and end, alarms that follow from them.

Rows are looked at on columns; one by one only those with which a condition turns. A condition holds from the row that
says so until the row that says otherwise; a row that is older than the newest of its series says nothing any more, and
neither does a series beyond `max_hold`: an alarm that is open then stays open, and none is raised.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alarms.rules import Rules
from alarms.standing import Change, Standing, Subject
from alarms.trends import Trend
from alarms.verdicts import Verdicts, matching, tables_of, texts, verdicts
from alarms.windows import Windows
from devices.alarms import Burst, Filling, Lasting, Rule, Silence
from devices.columns import Batch, Coded
from devices.kind import Kind

NS = 1_000_000_000
_REMEMBERED_NS = 2 * 86_400 * NS
"""So long it is remembered that something has ended, in case its beginning comes later still."""


class Engine:
    """Keeps the standings of all rules of a kind but that of silence, which is `alarms.silence`'s."""

    def __init__(
        self,
        kind: Kind,
        standings: Mapping[Subject, Standing],
        rules: Rules | None = None,
        windows: Windows | None = None,
    ) -> None:
        """Go on from where it stood.

        Args:
            kind: the kind.
            standings: what was kept of it.
            rules: the rules in force; as declared where None.
            windows: when to be quiet; never where None.
        """
        self._kind = kind
        self._rules = Rules({kind.name: kind}) if rules is None else rules
        self._windows = Windows() if windows is None else windows
        self._trends: dict[Subject, Trend] = {}
        self.rules = {each.name: each for each in kind.rules if not isinstance(each.condition, Silence)}
        self.standings = {
            subject: each
            for subject, each in standings.items()
            if subject.kind == kind.name and subject.rule in self.rules
        }

    def feed(self, batches: Iterable[Batch]) -> list[Change]:
        """Take rows, which may come in any order and more than once.

        Args:
            batches: of the kind's tables.

        Returns:
            The alarms that are raised and cleared by these rows alone; time itself is told by `tick`.
        """
        by_table = {batch.table.name: batch for batch in batches if len(batch)}
        found: list[Change] = []
        for declared in self.rules.values():
            wanted = [by_table[name] for name in tables_of(declared.condition) if name in by_table]
            for rule, batches_ in self._in_force(declared, wanted):
                match rule.condition:
                    case Lasting() as condition:
                        found += self._keyed(rule, condition, batches_)
                    case Burst() as condition:
                        found += [change for batch in batches_ for change in self._counted(rule, condition, batch)]
                    case _:
                        found += [change for batch in batches_ for change in self._said(rule, batch)]
        return found

    def tick(self, now_ns: int) -> list[Change]:
        """What is due by now, though no row came."""
        found: list[Change] = []
        for subject, standing in list(self.standings.items()):
            rule = self._rules.of(subject.kind, subject.rule, subject.compound, subject.device)
            if rule is None:  # switched off since
                found += standing.drop(subject, now_ns)
                continue
            until_ns = now_ns
            if isinstance(rule.condition, Burst):
                self._forget_old(rule.condition, standing, now_ns)
            elif not isinstance(rule.condition, Lasting):
                until_ns = min(now_ns, standing.seen_ns + self._kind.max_hold_ns)
            found += self._settled(rule, subject, standing, until_ns)
        return found

    def _in_force(self, declared: Rule, batches: Sequence[Batch]) -> Iterator[tuple[Rule, list[Batch]]]:
        """The rows of the devices for which a rule is one and the same."""
        found: dict[int, tuple[Rule, list[Batch]]] = {}
        for batch in batches:
            rules = [self._rules.of(self._kind.name, declared.name, key.compound, key.device) for key in batch.keys]
            for rule in {id(each): each for each in rules if each is not None}.values():
                mine = np.array([each is rule for each in rules])
                rows = batch if mine.all() else batch.take(mine[batch.series])
                found.setdefault(id(rule), (rule, []))[1].append(rows)
        yield from found.values()

    def _settled(self, rule: Rule, subject: Subject, standing: Standing, until_ns: int) -> Iterator[Change]:
        worse = None if rule.within is None else self.standings.get(subject._replace(rule=rule.within))
        if worse is not None and worse.holds:
            return standing.yield_to(subject, until_ns)
        return standing.settle(rule, subject, until_ns, quiet=self._windows.cover(subject, until_ns))

    def _standing(self, rule: Rule, batch: Batch, series: int) -> tuple[Subject, Standing]:
        key = batch.keys[series]
        part = "" if isinstance(rule.condition, Lasting) else key.part
        subject = Subject(self._kind.name, rule.name, key.compound, key.device, part)
        return subject, self.standings.setdefault(subject, Standing())

    def _said(self, rule: Rule, batch: Batch) -> Iterator[Change]:
        """Rows that say whether a condition holds."""
        batch = batch.sorted()
        offsets = batch.offsets()
        said = self._verdicts(rule, batch, offsets)
        for series in np.flatnonzero(np.diff(offsets)).tolist():
            rows = slice(int(offsets[series]), int(offsets[series + 1]))
            subject, standing = self._standing(rule, batch, series)
            time = batch.time[rows]
            telling = np.flatnonzero((said[rows] != 0) & (time > standing.seen_ns))
            turns = said[rows][telling] > 0
            turning = telling[turns != np.concatenate([[standing.holds], turns])[:-1]]
            values = texts(rule.condition, batch, turning + rows.start)
            for place, value in zip(turning.tolist(), values, strict=True):
                at_ns = int(time[place])
                before_ns = int(time[place - 1]) if place else standing.seen_ns
                yield from self._settled(rule, subject, standing, min(at_ns, before_ns + self._kind.max_hold_ns))
                standing.turn(holds=bool(said[rows][place] > 0), at_ns=at_ns, value=value)
                standing.seen_ns = at_ns
            standing.seen_ns = max(standing.seen_ns, int(time[-1]))
            yield from self._settled(rule, subject, standing, standing.seen_ns)

    def _verdicts(self, rule: Rule, batch: Batch, offsets: NDArray[np.intp]) -> Verdicts:
        """What each row of a sorted batch says."""
        condition = rule.condition
        if not isinstance(condition, Filling):
            return verdicts(condition, batch)
        said, level = np.zeros(len(batch), np.int8), batch.floats(condition.field)
        for series in np.flatnonzero(np.diff(offsets)).tolist():
            rows = slice(int(offsets[series]), int(offsets[series + 1]))
            subject, standing = self._standing(rule, batch, series)
            trend = self._trends.get(subject)
            if trend is None:
                trend = self._trends[subject] = Trend(self._kind.max_hold_ns, standing.samples)
            said[rows] = trend.verdicts(condition, batch.time[rows], level[rows])
            standing.samples = trend.samples
        return said

    def _keyed(self, rule: Rule, condition: Lasting, batches: list[Batch]) -> Iterator[Change]:
        """Events that begin and end something. Of each such thing the newest event counts, of one instant an end."""
        for at_ns, begins, key, batch, series in sorted(_events(condition, batches), key=lambda each: each[:3]):
            subject, standing = self._standing(rule, batch, series)
            last = standing.keys.get(key, 0)
            if at_ns < abs(last) or (at_ns == abs(last) and (begins or last < 0)):
                continue
            until_ns = max(at_ns, standing.seen_ns)
            yield from self._settled(rule, subject, standing, until_ns)
            standing.keys[key] = at_ns if begins else -at_ns
            standing.seen_ns = until_ns
            standing.turn(holds=standing.is_open, at_ns=at_ns, value=key)
            standing.forget_ended(until_ns - _REMEMBERED_NS)
            yield from self._settled(rule, subject, standing, until_ns)

    def _counted(self, rule: Rule, condition: Burst, batch: Batch) -> Iterator[Change]:
        """Events that count."""
        batch = batch.sorted()
        for row in np.flatnonzero(verdicts(condition, batch)).tolist():
            subject, standing = self._standing(rule, batch, int(batch.series[row]))
            at_ns = int(batch.time[row])
            if at_ns <= standing.seen_ns:
                continue
            standing.counts = True
            self._forget_old(condition, standing, at_ns)
            yield from self._settled(rule, subject, standing, at_ns)
            standing.recent.append(at_ns)
            standing.seen_ns = at_ns
            if len(standing.recent) >= condition.count:
                standing.turn(holds=True, at_ns=at_ns, value=str(len(standing.recent)))
                yield from self._settled(rule, subject, standing, at_ns)

    def _forget_old(self, condition: Burst, standing: Standing, now_ns: int) -> None:
        """Let go of events that are too old to count; the condition ends as there are too few."""
        within = round(condition.within_s * NS)
        while standing.recent and standing.recent[0] <= now_ns - within:
            left = standing.recent.popleft() + within
            if standing.holds and len(standing.recent) < condition.count:
                standing.turn(holds=False, at_ns=left, value="")


def _events(condition: Lasting, batches: Iterable[Batch]) -> Iterator[tuple[int, bool, str, Batch, int]]:
    """When what began or ended: time, whether it began, its key, and the batch and series of the row."""
    for batch in batches:
        begins, ends = matching(condition.begins, batch), np.zeros(len(batch), np.bool_)
        for each in condition.ends:
            ends |= matching(each, batch)
        rows = np.flatnonzero(begins | ends)
        column = batch.coded(condition.key)
        keys = Coded(column.codes[rows], column.labels).decoded()
        for row, key in zip(rows.tolist(), keys, strict=True):
            yield int(batch.time[row]), bool(begins[row]), key or "", batch, int(batch.series[row])
