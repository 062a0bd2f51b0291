"""Finds the kinds: every module of `devices.kinds` declares one, as `KIND`. A bad file fails loudly at start."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType

from devices import kinds
from devices.errors import DeclarationError
from devices.kind import Kind, Table


class Registry(Mapping[str, Kind]):
    """The kinds by name, in alphabetical order."""

    def __init__(self, found: Mapping[str, Kind]) -> None:
        """Hold `found`, kinds by name."""
        self._kinds = dict(sorted(found.items()))

    def __getitem__(self, name: str) -> Kind:
        """The kind called `name`."""
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._kinds)

    def __len__(self) -> int:
        """The number of kinds."""
        return len(self._kinds)

    def tables(self) -> Iterator[Table]:
        """All tables of all kinds."""
        for kind in self._kinds.values():
            yield from kind.tables.values()


def discover(package: ModuleType = kinds) -> Registry:
    """Import every module of `package` and collect what each declares.

    Args:
        package: the package to walk; `devices.kinds` unless a test brings its own.

    Returns:
        The registry.

    Raises:
        DeclarationError: a module cannot be imported, declares no `KIND`, or declares one that another declares too or
            whose name is not the file's.
    """
    found: dict[str, Kind] = {}
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{info.name}"
        try:
            module = importlib.import_module(name)
        except Exception as exc:
            raise DeclarationError(f"{name} cannot be imported: {exc}") from exc
        kind = getattr(module, "KIND", None)
        if not isinstance(kind, Kind):
            raise DeclarationError(f"{name} declares no KIND; see docs/adding-a-kind.md")
        if kind.name != info.name:
            raise DeclarationError(f"{name} declares kind {kind.name!r}; name the file after its kind")
        found[kind.name] = kind
    if not found:
        raise DeclarationError(f"{package.__name__} holds no kind")
    return Registry(found)
