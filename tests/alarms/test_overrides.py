"""Rules that a file overrides, and windows in which nothing is raised."""

import pytest

from alarms.engine import Engine
from alarms.rules import Rules, parse
from alarms.silence import Silence
from alarms.standing import Change, Subject, What
from alarms.windows import Window, Windows
from devices.alarms import Labels, Level, Severity
from devices.columns import SeriesKey
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.registry import Registry
from tests.alarms.made import KEY, THING, at, telemetry
from tests.alarms.test_silence import NOW, S, statuses

OTHER = SeriesKey("shuichang", "shuichang-thing-01")


def rules(text: str, registry: Registry, inventory: Inventory) -> Rules:
    return Rules(registry, parse(text, registry, inventory))


def test_the_last_of_several_counts_field_by_field(registry: Registry, inventory: Inventory) -> None:
    found = rules(
        """
        - {kind: bin, rule: full, at: 0.9, severity: critical}
        - {kind: bin, rule: full, compound: jingyuan, at: 0.8, clear: 0.5}
        - {kind: bin, rule: full, device: jingyuan-bin-01, enabled: false}
        - {kind: bin, rule: full, device: jingyuan-bin-01, for_s: 60}
        - {kind: gate, rule: held, labels: [held, open]}
        - {rule: uplink_down, for_s: 300}
        """,
        registry,
        inventory,
    )
    everywhere = found.of("bin", "full", "shuichang", "shuichang-bin-01")
    here = found.of("bin", "full", "jingyuan", "jingyuan-bin-02")
    assert everywhere is not None
    assert here is not None
    assert (everywhere.condition, everywhere.severity) == (Level(field="fill", at=0.9, clear=0.8), Severity.CRITICAL)
    assert (here.condition, here.severity) == (Level(field="fill", at=0.8, clear=0.5), Severity.CRITICAL)
    assert found.of("bin", "full", "jingyuan", "jingyuan-bin-01") is None
    held = found.of("gate", "held", "jingyuan", "jingyuan-gate-01")
    assert held is not None
    assert held.condition == Labels(field="door", labels=("held", "open"))
    uplink = found.of("", "uplink_down", "jingyuan", "")
    assert uplink is not None
    assert uplink.for_s == 300
    assert found.of("bin", "nothing", "jingyuan", "jingyuan-bin-01") is None
    assert found.of("bin", "full", "a", "b") is found.of("bin", "full", "c", "d")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not YAML"),
        ("- 7", "are wrong"),
        ("{kind: bin}", "are wrong"),
        ("- {kind: bin}", "0.rule: Field required"),
        ("- {kind: bin, rule: full, above: 3}", "0.above: Extra inputs"),
        ("- {kind: bin, rule: full, at: high}", "0.at: Input should be a valid number"),
        ("- {kind: bin, rule: full, at: .nan}", "0.at"),
        ("- {kind: bin, rule: full, for_s: -1}", "0.for_s"),
        ("- {kind: bin, rule: full, enabled: maybe}", "0.enabled"),
        ("- {kind: bin, rule: full, severity: fatal}", "0.severity"),
        ("- {kind: robot, rule: full}", "no kind 'robot'; write one of bin"),
        ("- {kind: bin, rule: fool}", "no such rule; write one of smoke"),
        ("- {rule: full}", "no such rule; write one of uplink_down"),
        ("- {kind: bin, rule: full, compound: nowhere}", "no compound 'nowhere'"),
        ("- {kind: bin, rule: full, device: nobody}", "no device 'nobody'"),
        ("- {kind: bin, rule: full, count: 3}", "has no 'count'; it has at, clear"),
        ("- {kind: bin, rule: offline, at: 3}", "has no 'at'; it has none"),
        ("- {kind: bin, rule: full, at: 0.8, clear: 0.8}", "must differ"),
        ("- {kind: gate, rule: held, labels: [ajar]}", "no state 'door' with labels"),
        ("- {rule: uplink_down, at: 3}", "has no 'at'"),
    ],
)
def test_a_wrong_file_says_where(line: str, says: str, registry: Registry, inventory: Inventory) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(line, registry, inventory)


def test_an_empty_file_overrides_nothing(registry: Registry, inventory: Inventory) -> None:
    assert parse("", registry, inventory) == ()


def of_rule(changes: list[Change], name: str) -> list[tuple[str, str]]:
    return [(each.subject.device, str(each.what)) for each in changes if each.subject.rule == name]


def test_devices_keep_to_their_own_thresholds(inventory: Inventory) -> None:
    known = {"thing": THING}
    lower = parse(f"- {{kind: thing, rule: low, compound: {OTHER.compound}, at: 30, clear: 40}}", known, inventory)
    engine = Engine(THING, {}, Rules(known, lower))
    rows = [(0, 20, None, None), (0, 20, None, None)]
    assert of_rule(engine.feed([telemetry(rows, (KEY, OTHER))]), "low") == [(OTHER.device, "raised")]


def test_a_rule_that_is_switched_off_clears_what_it_raised() -> None:
    engine = Engine(THING, {})
    assert of_rule(engine.feed([telemetry([(0, 5, None, None)])]), "low") == [(KEY.device, "raised")]
    overrides = parse("- {kind: thing, rule: low, enabled: false}", {"thing": THING}, Inventory(THING.title, {}))
    after = Engine(THING, engine.standings, Rules({"thing": THING}, overrides))
    assert of_rule(after.tick(at(10)), "low") == [(KEY.device, "cleared")]
    assert of_rule(after.feed([telemetry([(20, 5, None, None)])]), "low") == []


def window(begin_s: float, end_s: float, device: str = "", compound: str = "jingyuan") -> Window:
    return Window(id=1, compound=compound, device=device, start_ns=at(begin_s), stop_ns=at(end_s), by="Li", note="")


@pytest.mark.parametrize("device", ["", KEY.device])
def test_what_holds_when_a_window_ends_is_raised_then(device: str) -> None:
    engine = Engine(THING, {}, None, Windows([window(0, 100, device)]))
    assert of_rule(engine.feed([telemetry([(10, 5, None, None)])]), "low") == []
    assert of_rule(engine.tick(at(99)), "low") == []
    assert of_rule(engine.tick(at(100)), "low") == [(KEY.device, "raised")]


def test_a_window_is_about_its_own_devices_alone() -> None:
    windows = Windows([window(0, 100, "another"), window(0, 100, compound="textile")])
    engine = Engine(THING, {}, None, windows)
    assert of_rule(engine.feed([telemetry([(10, 5, None, None)])]), "low") == [(KEY.device, "raised")]
    windows.replace([window(0, 100)])
    cleared = engine.feed([telemetry([(20, 50, None, None)])])
    assert of_rule(cleared, "low") == [(KEY.device, "cleared")]


def test_nobody_is_missed_during_maintenance(registry: Registry, inventory: Inventory) -> None:
    windows = Windows(
        Window(id=1, compound=name, device="", start_ns=NOW, stop_ns=NOW + 1000 * S, by="", note="")
        for name in inventory.compounds
    )
    silence = Silence(registry, inventory, {}, None, windows)
    silence.feed(statuses(registry, list(inventory.devices.values()), "offline", NOW))
    assert silence.tick(NOW + 999 * S) == []
    found = silence.tick(NOW + 1000 * S)
    assert {each.subject for each in found} == {Subject("", "uplink_down", name) for name in inventory.compounds}
    assert {each.what for each in found} == {What.RAISED}
