"""Rules that are declared wrongly are refused by name; those of the kinds are whole, in both languages."""

from dataclasses import replace

import pytest

from devices.alarms import Burst, Condition, Labels, Lasting, Level, Match, Rule, Severity, Silence
from devices.errors import DeclarationError
from devices.names import Text
from devices.registry import Registry
from tests.alarms.made import THING, rule

BEGIN = Match(event="incident", where={"phase": "begin"})


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (Level(field="warmth", at=1, clear=0), "no number 'warmth'"),
        (Level(field="lamp", at=1, clear=0), "no number 'lamp'"),
        (Level(field="level", of="warmth", at=1, clear=0), "no number 'warmth'"),
        (Level(field="level", at=1, clear=1), "must differ"),
        (Level(field="level", at=float("nan"), clear=1), "finite"),
        (Labels(field="lamp", labels=("dim",)), "no state 'lamp' with labels"),
        (Labels(field="lamp", labels=()), "no state 'lamp' with labels"),
        (Labels(field="level", labels=("on",)), "no state 'level'"),
        (Lasting(key="id", begins=Match(event="party"), ends=()), "no event 'party'"),
        (Lasting(key="name", begins=BEGIN, ends=()), "no field 'name'"),
        (Lasting(key="id", begins=Match(event="incident", where={"phase": "middle"}), ends=()), "label 'middle'"),
        (Burst(of=Match(event="telemetry"), count=1, within_s=1), "no event 'telemetry'"),
        (Burst(of=Match(event="knock"), count=0, within_s=1), "count must be"),
        (Burst(of=Match(event="knock"), count=1, within_s=0), "within_s above 0"),
    ],
)
def test_a_wrong_condition(condition: Condition, says: str) -> None:
    made = replace(rule("high", Level(field="level", at=1, clear=0)), condition=condition)
    with pytest.raises(DeclarationError, match=says):
        replace(THING, alarms=(made,))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "Too high"}, "names"),
        ({"name": "offline"}, "each its own"),
        ({"for_s": -1}, "negative"),
        ({"within": "nothing"}, "declared before it"),
        ({"within": "high"}, "declared before it"),
        ({"clear_s": -1}, "negative"),
    ],
)
def test_a_wrong_rule(wrong: dict[str, object], says: str) -> None:
    made = replace(rule("high", Level(field="level", at=1, clear=0)), **wrong)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=says):
        replace(THING, alarms=(made,))


def test_every_kind_has_rules_for_people(registry: Registry) -> None:
    for kind in registry.values():
        assert len(kind.rules) > 1
        for each in kind.rules:
            assert isinstance(each, Rule)
            assert isinstance(each.severity, Severity)
            for text in (each.title, each.advice):
                assert isinstance(text, Text)
                assert text.en
                assert text.zh != text.en
        assert isinstance(kind.rules[-1].condition, Silence)
