"""What people read: one message of one or many alarms, in Chinese, in English, or in both."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from alarms.alarm import SEVERITIES, Alarm
from alarms.outbox import Notice
from alarms.standing import What
from alarms.targets import Target
from devices.alarms import UPLINK, Rule, Severity
from devices.inventory import Inventory
from devices.kind import Kind
from devices.names import Text

_MOST = 50
"""So many alarms a message lists; of more it gives the number."""

_SEVERITY: Mapping[Severity, Text] = {
    Severity.CRITICAL: Text("CRITICAL", "紧急"),
    Severity.MAJOR: Text("MAJOR", "重要"),
    Severity.MINOR: Text("MINOR", "次要"),
    Severity.WARNING: Text("WARNING", "提示"),
}
_RAISED, _CLEARED = Text("raised", "发生"), Text("cleared", "恢复")
_MORE = Text("and {} more; see /v1/alarms", "另有 {} 条，见 /v1/alarms")


class Composer:
    """Writes messages."""

    def __init__(self, kinds: Mapping[str, Kind], inventory: Inventory) -> None:
        """Know the names of things."""
        self._rules = {(kind.name, rule.name): rule for kind in kinds.values() for rule in kind.rules}
        self._inventory = inventory

    def compose(self, target: Target, notices: Sequence[Notice]) -> tuple[str, str]:
        """Write one message.

        Args:
            target: who reads it.
            notices: what to tell; one that says that an alarm was raised comes before the one that it was cleared.

        Returns:
            Title and body.
        """
        by = _PICK[target.language]
        raised = [each for each in notices if each.what is What.RAISED]
        cleared = [each for each in notices if each.what is What.CLEARED]
        counts = [f"{len(each)} {by(text)}" for each, text in ((raised, _RAISED), (cleared, _CLEARED)) if each]
        compounds = list(dict.fromkeys(each.alarm.compound for each in notices))
        where = self._name(compounds[0], by) if len(compounds) == 1 else by(self._inventory.name)
        worst = min((SEVERITIES.index(each.alarm.severity) for each in raised), default=None)
        grade = "" if worst is None else f"[{by(_SEVERITY[SEVERITIES[worst]])}] "
        zone = ZoneInfo(target.timezone)
        ordered = sorted(notices, key=lambda each: (SEVERITIES.index(each.alarm.severity), each.id))
        lines = [self._line(each, zone, by) for each in ordered[:_MOST]]
        if len(ordered) > _MOST:
            lines.append(by(_MORE).format(len(ordered) - _MOST))
        return f"{grade}{where}: {', '.join(counts)}", "\n".join(lines)

    def _line(self, notice: Notice, zone: ZoneInfo, by: Callable[[Text], str]) -> str:
        alarm, rule = notice.alarm, self._rule(notice.alarm)
        is_raised = notice.what is What.RAISED
        at_ns = alarm.raised_ns if is_raised else alarm.cleared_ns or alarm.raised_ns
        time = datetime.fromtimestamp(at_ns / 1e9, zone)
        what = alarm.rule if rule is None else by(rule.title)
        where = " ".join(each for each in (self._name(alarm.compound, by), alarm.device, alarm.part) if each)
        value = f" ({alarm.value})" if alarm.value and is_raised else ""
        advice = f" — {by(rule.advice)}" if rule is not None and is_raised else ""
        verb = by(_RAISED if is_raised else _CLEARED)
        return f"{time:%m-%d %H:%M} {by(_SEVERITY[alarm.severity])} {verb}: {what}, {where}{value}{advice}"

    def _rule(self, alarm: Alarm) -> Rule | None:
        return UPLINK if not alarm.kind else self._rules.get((alarm.kind, alarm.rule))

    def _name(self, compound: str, by: Callable[[Text], str]) -> str:
        found = self._inventory.compounds.get(compound)
        return compound if found is None else by(found.name)


_PICK: Mapping[str, Callable[[Text], str]] = {
    "zh": lambda text: text.zh,
    "en": lambda text: text.en,
    "both": lambda text: text.zh if text.zh == text.en else f"{text.zh} {text.en}",
}
