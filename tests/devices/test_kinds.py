"""Contract of every kind, and what a wrong declaration is told."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from devices.alarms import Match
from devices.errors import DeclarationError
from devices.fields import category, counter, flag, gauge, identity, state, value
from devices.kind import Event, Kind, Pair, Part
from devices.names import Text, is_name
from devices.registry import Registry, discover
from devices.statistics import Group, Reducer, Statistic

T = Text("x", "x")
KINDS = discover()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_says_what_people_need(kind: Kind) -> None:
    titles = [kind.title, *(field.title for table in kind.tables.values() for field in table.fields)]
    titles += [event.title for event in kind.events] + [each.title for each in kind.statistics]
    assert all(title.en and title.zh for title in titles)
    assert all(each.definition.endswith(".") and each.unit for each in kind.statistics)
    assert {each.group for each in kind.statistics} >= {Group.OCCUPANCY, Group.USAGE}
    labels = [label for table in kind.tables.values() for field in table.fields for label in field.labels]
    labels += kind.part.values if kind.part is not None else ()
    assert [label for label in labels if kind.word(label).zh == label] == []
    assert set(kind.words) <= set(labels), "a word for a label that is none"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_field_has_a_place_for_a_person(kind: Kind) -> None:
    from devices.privacy import FORBIDDEN_NAMES  # noqa: PLC0415  (stands where it is needed)

    names = {field.name for table in kind.tables.values() for field in table.fields}
    assert not names & FORBIDDEN_NAMES


def test_measurements_are_unique() -> None:
    measurements = [table.measurement for table in KINDS.tables()]
    assert len(set(measurements)) == len(measurements)
    assert all(map(is_name, measurements))


def _kind(**changes: object) -> Kind:
    base: dict[str, object] = {
        "name": "lamp",
        "title": T,
        "interval_s": 60,
        "telemetry": (state("lit", T, ("off", "on")), gauge("power_w", T, "W", 0, 100)),
        "events": (Event(name="switched", title=T, fields=(category("to", T, ("off", "on")), identity("id", T))),),
    }
    return Kind(**{**base, **changes})  # type: ignore[arg-type]  # wrong values are the point


def _statistic(**changes: object) -> Statistic:
    base: dict[str, object] = {
        "name": "lit",
        "title": T,
        "group": Group.USAGE,
        "unit": "s",
        "reducer": Reducer.SECONDS,
        "definition": "Lit.",
        "field": "lit",
        "labels": ("on",),
    }
    return Statistic(**{**base, **changes})  # type: ignore[arg-type]  # wrong values are the point


def test_the_base_of_these_cases_is_right() -> None:
    kind = _kind(statistics=(_statistic(),))
    assert set(kind.tables) == {"telemetry", "status", "switched"}
    assert kind.max_hold_ns == 180 * 10**9


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: _kind(name="Lamp"), "kind name"),
        (lambda: _kind(interval_s=0), "interval_s"),
        (lambda: _kind(telemetry=()), "at least one"),
        (lambda: _kind(telemetry=(value("kg", T, "kg", 0, 1),)), "takes gauges"),
        (lambda: _kind(telemetry=(flag("a", T), flag("a", T))), "stands twice"),
        (lambda: _kind(events=(Event(name="status", title=T, fields=()),)), "event names"),
        (lambda: _kind(events=(Event(name="e", title=T, fields=(flag("a", T),)),)), "events take"),
        (lambda: _kind(events=(Event(name="e", title=T, fields=(), has_part=True),)), "declares none"),
        (lambda: _kind(part=Part(name="lit", title=T)), "stands twice"),
        (lambda: _kind(statistics=(_statistic(), _statistic())), "stands twice"),
        (lambda: _kind(statistics=(_statistic(table="none"),)), "no table"),
        (lambda: _kind(statistics=(_statistic(field="none"),)), "no field"),
        (lambda: _kind(statistics=(_statistic(labels=("dim",)),)), "unknown labels"),
        (lambda: _kind(statistics=(_statistic(by="none"),)), "cannot break down"),
        (lambda: _kind(statistics=(_statistic(where={"lit": ("dim",)}),)), "with labels"),
        (lambda: _kind(statistics=(_statistic(reducer=Reducer.RATIO, operands=("a", "b")),)), "declared before"),
        (lambda: _kind(statistics=(_statistic(reducer=Reducer.MEAN_DURATION, pair="p"),)), "no pair"),
        (lambda: _kind(pairs=(_pair("none", {}),)), "has no field"),
        (lambda: _kind(pairs=(_pair("switched", {"to": "dim"}),)), "no label"),
        (lambda: _statistic(name="9"), "statistic name"),
        (lambda: _statistic(labels=()), "needs labels"),
        (lambda: _statistic(reducer=Reducer.QUANTILE, pair="p", quantile=1.5), "between 0 and 1"),
        (lambda: _statistic(reducer=Reducer.RATIO, operands=("a",)), "divides two"),
        (lambda: gauge("ts", T, "s", 0, 1), "reserved"),
        (lambda: gauge("a b", T, "s", 0, 1), "field name"),
        (lambda: gauge("a", T, "s", 1, 1), "range"),
        (lambda: counter("a", T, "Wh", -1), "range"),
        (lambda: state("a", T, ()), "labels"),
        (lambda: state("a", T, ("x", "x")), "labels"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(make: Callable[[], object], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        make()


def _pair(event: str, where: dict[str, str]) -> Pair:
    match = Match(event=event, where=where)
    return Pair(name="p", title=T, key="id", opens=match, closes=(match,))


def _package(folder: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = f"scratch_{abs(hash(folder))}"
    package = folder / name
    package.mkdir()
    for file, text in {"__init__.py": "", **files}.items():
        (package / file).write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    __import__(name)
    return sys.modules[name]


_GOOD = """
from devices.fields import flag
from devices.kind import Kind
from devices.names import Text
KIND = Kind(name="{}", title=Text("x", "x"), interval_s=1, telemetry=(flag("on", Text("x", "x")),))
"""


def test_discovery_finds_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _package(tmp_path, {"zebra.py": _GOOD.format("zebra"), "ape.py": _GOOD.format("ape")}, monkeypatch)
    assert list(discover(package)) == ["ape", "zebra"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no kind"),
        ({"a.py": ""}, "declares no KIND"),
        ({"a.py": "KIND = 1"}, "declares no KIND"),
        ({"a.py": "raise RuntimeError('boom')"}, "cannot be imported: boom"),
        ({"a.py": "def"}, "cannot be imported"),
        ({"a.py": _GOOD.format("b")}, "name the file after its kind"),
    ],
)
def test_a_bad_file_fails_loudly(
    files: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeclarationError, match=says):
        discover(_package(tmp_path, files, monkeypatch))


def test_a_registry_is_a_mapping_in_order() -> None:
    registry = Registry({kind: KINDS[kind] for kind in sorted(KINDS, reverse=True)})
    assert list(registry) == sorted(KINDS)
    assert len(registry) == len(KINDS)
