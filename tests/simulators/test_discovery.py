"""Kinds and behaviours match one to one, and a bad file is named at start."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from devices.errors import DeclarationError
from devices.registry import Registry
from simulators.behaviour import discover

GOOD = """
from simulators.behaviour import Behaviour
BEHAVIOUR = Behaviour(kind="{kind}", model=lambda site: None)
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[ModuleType]:
    made = ModuleType("behaviours_of_a_test")
    made.__path__ = [str(tmp_path)]
    sys.modules[made.__name__] = made
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == made.__name__]:
        del sys.modules[name]


def write(package: ModuleType, name: str, text: str) -> None:
    (Path(package.__path__[0]) / f"{name}.py").write_text(text)


def test_every_kind_has_a_behaviour(registry: Registry) -> None:
    assert list(discover(registry)) == list(registry)


def test_a_kind_without_behaviour(registry: Registry, package: ModuleType) -> None:
    for kind in list(registry)[1:]:
        write(package, kind, GOOD.format(kind=kind))
    with pytest.raises(DeclarationError, match=r"no behaviour for bin; add behaviours_of_a_test\.bin"):
        discover(registry, package)


def test_a_behaviour_without_kind(registry: Registry, package: ModuleType) -> None:
    for kind in [*registry, "fountain"]:
        write(package, kind, GOOD.format(kind=kind))
    with pytest.raises(DeclarationError, match=r"add devices\.kinds\.fountain"):
        discover(registry, package)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "cannot be imported: division by zero"),
        ("", "declares no BEHAVIOUR"),
        ("BEHAVIOUR = 1", "declares no BEHAVIOUR"),
        (GOOD.format(kind="bin"), "name the file after its kind"),
    ],
)
def test_a_bad_file_fails_loudly(registry: Registry, package: ModuleType, text: str, message: str) -> None:
    write(package, "gate", text)
    with pytest.raises(DeclarationError, match=message):
        discover(registry, package)
