"""Checks of declared alarm rules: each is about what its kind declares, with numbers that make sense."""

from math import isfinite
from typing import TYPE_CHECKING

from devices.alarms import Burst, Condition, Filling, Labels, Lasting, Level, Match
from devices.errors import DeclarationError
from devices.names import is_name

if TYPE_CHECKING:
    from devices.kind import Kind

_EVENT = "event"


def check_rules(kind: "Kind") -> None:
    """Check the rules of a kind.

    Raises:
        DeclarationError: one is wrong; the message says which, and what is there instead.
    """
    names = [each.name for each in kind.rules]
    if len(set(names)) != len(names) or not all(map(is_name, names)):
        raise DeclarationError(f"kind {kind.name!r}: alarm rules must have names, each its own")
    for each in kind.rules:
        where = f"kind {kind.name!r}, alarm {each.name!r}"
        if each.for_s < 0 or each.clear_s < 0:
            raise DeclarationError(f"{where}: for_s and clear_s must not be negative")
        if each.within is not None and each.within not in names[: names.index(each.name)]:
            raise DeclarationError(f"{where}: {each.within!r} must be a rule that is declared before it")
        _check_condition(kind, each.condition, where)


def _check_condition(kind: "Kind", condition: Condition, where: str) -> None:
    match condition:
        case Level():
            _check_level(kind, condition, where)
        case Filling():
            _check_filling(kind, condition, where)
        case Labels():
            _check_labels(kind, condition, where)
        case Lasting():
            _check_lasting(kind, condition, where)
        case Burst():
            _check_match(kind, condition.of, where)
            if condition.count < 1 or not condition.within_s > 0:
                raise DeclarationError(f"{where}: count must be 1 or more, within_s above 0")


def _check_level(kind: "Kind", level: Level, where: str) -> None:
    for name in (level.field, level.of):
        if name is not None:
            _check_number(kind, name, where)
    if not isfinite(level.at - level.clear) or level.at == level.clear:
        raise DeclarationError(f"{where}: at and clear must be finite, and must differ, or noise would raise it")


def _check_filling(kind: "Kind", filling: Filling, where: str) -> None:
    _check_number(kind, filling.field, where)
    if not (isfinite(filling.at) and filling.within_s > 0 and filling.over_s > 0):
        raise DeclarationError(f"{where}: at must be finite, within_s and over_s above 0")


def _check_labels(kind: "Kind", condition: Labels, where: str) -> None:
    states = {each.name: each.labels for each in kind.telemetry if each.labels}
    name, labels = condition.field, condition.labels
    if name not in states or not labels or not set(labels) <= set(states[name]):
        raise DeclarationError(f"{where}: telemetry has no state {name!r} with labels {labels}")


def _check_lasting(kind: "Kind", condition: Lasting, where: str) -> None:
    for each in (condition.begins, *condition.ends):
        _check_match(kind, each, where)
        if condition.key not in kind.tables[each.event].by_name:
            raise DeclarationError(f"{where}: event {each.event!r} has no field {condition.key!r}")


def _check_number(kind: "Kind", name: str, where: str) -> None:
    numbers = [each.name for each in kind.telemetry if each.is_number]
    if name not in numbers:
        raise DeclarationError(f"{where}: telemetry has no number {name!r}; it has {', '.join(numbers)}")


def _check_match(kind: "Kind", match: Match, where: str) -> None:
    table = kind.tables.get(match.event)
    if table is None or table.channel != _EVENT:
        raise DeclarationError(f"{where}: no event {match.event!r}")
    for name, label in match.where.items():
        if name not in table.by_name or label not in table.by_name[name].labels:
            raise DeclarationError(f"{where}: {match.event!r} has no {name!r} with label {label!r}")
