"""The files of alarm rules and targets, as the settings name them."""

from contextlib import closing
from pathlib import Path

import pytest

from access.audit import Audit
from courtyard import wiring
from courtyard.alarms import AlarmPart
from courtyard.settings import Settings
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.registry import Registry

ROOT = Path(__file__).resolve().parents[2]


def settings(**named: Path) -> Settings:
    return Settings(_env_file=None, **named)  # type: ignore[arg-type]


def test_without_files_rules_are_as_declared_and_nobody_is_told(registry: Registry, inventory: Inventory) -> None:
    rule = wiring.alarm_rules(settings(), registry, inventory).of("bin", "full", "jingyuan", "jingyuan-bin-01")
    assert rule == next(each for each in registry["bin"].rules if each.name == "full")
    assert wiring.alarm_targets(settings(), inventory) == ()


def test_the_files_of_the_stack_may_be_used_as_they_are(registry: Registry, inventory: Inventory) -> None:
    folder = ROOT / "docker" / "alarms"
    found = settings(alarm_rules=folder / "rules.yaml", alarm_targets=folder / "targets.yaml")
    assert wiring.alarm_targets(found, inventory) == ()
    assert wiring.alarm_rules(found, registry, inventory).of("bin", "full", "jingyuan", "jingyuan-bin-01") is not None


def test_the_examples_in_the_files_are_right(registry: Registry, inventory: Inventory, tmp_path: Path) -> None:
    for name in ("rules", "targets"):
        lines = (ROOT / "docker" / "alarms" / f"{name}.yaml").read_text().splitlines()
        examples = [line.removeprefix("# ") for line in lines if line.startswith(("# - ", "#   "))]
        assert examples
        (tmp_path / f"{name}.yaml").write_text("\n".join(examples))
    found = settings(alarm_rules=tmp_path / "rules.yaml", alarm_targets=tmp_path / "targets.yaml")
    assert wiring.alarm_rules(found, registry, inventory).of("bin", "nearly_full", "a", "b") is None
    assert [each.name for each in wiring.alarm_targets(found, inventory)] == ["manager"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(
    registry: Registry, inventory: Inventory, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"COURTYARD_ALARM_RULES: .* cannot be read"):
        wiring.alarm_rules(settings(alarm_rules=path), registry, inventory)
    with pytest.raises(SettingsError, match=r"COURTYARD_ALARM_TARGETS: .* cannot be read"):
        wiring.alarm_targets(settings(alarm_targets=path), inventory)


def test_another_file_is_written_down_once(registry: Registry, inventory: Inventory, tmp_path: Path) -> None:
    found = settings(alarm_rules=tmp_path / "rules.yaml", data_dir=tmp_path / "data")

    def start() -> list[str]:
        with closing(wiring.open_records(found)) as database, closing(wiring.open_store(found, registry)) as store:
            part = AlarmPart(found, inventory, registry, store, database)
            part.start()
            part.stop()
            assert part.failure is None
            return [each.what for each in Audit(database).newest(10)]

    text = (ROOT / "docker" / "alarms" / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(text)
    assert start() == ["rules.change"]
    assert start() == ["rules.change"]
    (tmp_path / "rules.yaml").write_text(text + "\n# another\n")
    assert start() == ["rules.change"] * 2
