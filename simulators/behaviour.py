"""How a kind's behaviour is declared, and how the behaviours are found.

Every module of `simulators.behaviours` declares one, as `BEHAVIOUR`, in a file named after its kind. Kinds and
behaviours must match one to one; a bad or missing file fails loudly at start.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Protocol

from devices.columns import Batch, Column, Times
from devices.errors import DeclarationError
from devices.kind import Kind
from simulators import behaviours
from simulators.site import Day, Site


class Model(Protocol):
    """The devices of one kind in one compound."""

    def day(self, day: Day) -> Sequence[Batch]:
        """Everything that the devices report on one local day.

        A pure function of the site (its seed included) and the day: state that reaches over midnight is drawn again
        from the days before. A model may keep what it has drawn, but only to save time.

        Args:
            day: the local day.

        Returns:
            Batches of telemetry and events, at most one of each table, their `time` in whole milliseconds (as
            nanoseconds, without `seq`) within `[day.start_ms, day.stop_ms)`.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """What the devices of a kind do.

    Attributes:
        kind: name of the kind.
        model: makes the model of one site.
        freeze: where devices of the kind can freeze: given their telemetry and, in ms since the epoch, since when each
            row is frozen (-1: it is not), the columns that change; None where they cannot.
    """

    kind: str
    model: Callable[[Site], Model]
    freeze: Callable[[Batch, Times], Mapping[str, Column]] | None = None


def discover(kinds: Mapping[str, Kind], package: ModuleType = behaviours) -> Mapping[str, Behaviour]:
    """Import every module of `package` and collect what each declares.

    Args:
        kinds: the kinds that must have a behaviour each.
        package: the package to walk; `simulators.behaviours` unless a test brings its own.

    Returns:
        The behaviours by kind.

    Raises:
        DeclarationError: a module cannot be imported, declares no `BEHAVIOUR`, or declares one for another kind than
            its file is named after; or a kind has no behaviour, or a behaviour no kind.
    """
    found: dict[str, Behaviour] = {}
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{info.name}"
        try:
            module = importlib.import_module(name)
        except Exception as exc:
            raise DeclarationError(f"{name} cannot be imported: {exc}") from exc
        behaviour = getattr(module, "BEHAVIOUR", None)
        if not isinstance(behaviour, Behaviour):
            raise DeclarationError(f"{name} declares no BEHAVIOUR; see docs/adding-a-kind.md")
        if behaviour.kind != info.name:
            raise DeclarationError(f"{name} declares a behaviour of {behaviour.kind!r}; name the file after its kind")
        found[behaviour.kind] = behaviour
    _check_match(set(kinds), set(found), package.__name__)
    return MappingProxyType(dict(sorted(found.items())))


def _check_match(kinds: set[str], found: set[str], package: str) -> None:
    if missing := sorted(kinds - found):
        raise DeclarationError(f"no behaviour for {', '.join(missing)}; add {package}.{missing[0]}")
    if extra := sorted(found - kinds):
        raise DeclarationError(f"{package}.{extra[0]} is the behaviour of no kind; add devices.kinds.{extra[0]}")
