"""Rules as they are in force: declared beside each kind, and overridden for a compound or a device by a file.

    - {kind: bin, rule: full, at: 0.9, clear: 0.7}
    - {kind: bin, rule: nearly_full, enabled: false}
    - {kind: gate, rule: held, compound: jingyuan, for_s: 300, severity: warning}
    - {rule: uplink_down, compound: jingyuan, for_s: 120}

Of several that are about a device the last counts, field by field. Parsing only: the file is read elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from devices.alarms import UPLINK, Rule, Severity
from devices.errors import DeclarationError, SettingsError
from devices.inventory import Inventory
from devices.kind import Kind

_OF_RULE = ("severity", "for_s", "clear_s")
_OF_CONDITION = ("at", "clear", "labels", "count", "within_s")
_Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Override(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str
    kind: str | None = None
    compound: str | None = None
    device: str | None = None
    enabled: Annotated[bool, Field(strict=True)] | None = None
    severity: Severity | None = None
    for_s: _Seconds | None = None
    clear_s: _Seconds | None = None
    at: _Number | None = None
    clear: _Number | None = None
    labels: tuple[str, ...] | None = None
    count: Annotated[int, Field(ge=1, strict=True)] | None = None
    within_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Rules:
    """The rules in force."""

    def __init__(self, kinds: Mapping[str, Kind], overrides: Sequence[Override] = ()) -> None:
        """Of some kinds, with what `parse` made of a file."""
        self._declared = {(kind.name, rule.name): rule for kind in kinds.values() for rule in kind.rules}
        self._declared["", UPLINK.name] = UPLINK
        self._overrides = overrides
        self._made: dict[tuple[str, str, str, str], Rule | None] = {}
        self._shared: dict[str, Rule] = {}  # equal ones are one

    def is_declared(self, kind: str, rule: str) -> bool:
        """Whether there is such a rule."""
        return (kind, rule) in self._declared

    def of(self, kind: str, rule: str, compound: str, device: str) -> Rule | None:
        """The rule as it is for a device.

        Args:
            kind: name of the kind; "" for a rule about compounds.
            rule: name of the rule.
            compound: id.
            device: id; "" for a rule about compounds.

        Returns:
            The rule; None where it is switched off, or there is none.
        """
        key = (kind, rule, compound, device)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, kind: str, rule: str, compound: str, device: str) -> Rule | None:
        found = self._declared.get((kind, rule))
        enabled = found is not None
        for each in self._overrides:
            about = (each.kind or "", each.rule) == (kind, rule)
            if found is not None and about and each.compound in {None, compound} and each.device in {None, device}:
                found = overridden(found, each)
                enabled = enabled if each.enabled is None else each.enabled
        return self._shared.setdefault(repr(found), found) if found is not None and enabled else None


def parse(text: str, kinds: Mapping[str, Kind], inventory: Inventory) -> tuple[Override, ...]:
    """Read a file of overrides.

    Args:
        text: its content, YAML.
        kinds: the kinds.
        inventory: which compounds and devices there are.

    Returns:
        The overrides, in order.

    Raises:
        SettingsError: the file is wrong; the message says where, and what to write.
    """
    try:
        found = pydantic.TypeAdapter(tuple[Override, ...]).validate_python(yaml.safe_load(text) or ())
    except yaml.YAMLError as exc:
        raise SettingsError(f"the alarm rules are not YAML: {exc}") from exc
    except pydantic.ValidationError as exc:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors(include_url=False)]
        raise SettingsError("the alarm rules are wrong (0 is the first): " + "; ".join(lines)) from exc
    for number, each in enumerate(found):
        _check(f"the alarm rules are wrong at {number} ({each.rule})", each, kinds, inventory)
    return found


def overridden(rule: Rule, override: Override) -> Rule:
    """The rule with what an override says."""
    said = {name: getattr(override, name) for name in _OF_RULE if getattr(override, name) is not None}
    inner = {name: getattr(override, name) for name in _OF_CONDITION if getattr(override, name) is not None}
    return replace(rule, condition=replace(rule.condition, **inner), **said)


def _check(where: str, override: Override, kinds: Mapping[str, Kind], inventory: Inventory) -> None:
    kind = kinds.get(override.kind or "")
    rules = {UPLINK.name: UPLINK} if override.kind is None else {} if kind is None else {r.name: r for r in kind.rules}
    rule = rules.get(override.rule)
    if override.kind is not None and kind is None:
        raise SettingsError(f"{where}: there is no kind {override.kind!r}; write one of {', '.join(kinds)}")
    if rule is None:
        raise SettingsError(f"{where}: there is no such rule; write one of {', '.join(rules)}")
    if override.compound is not None and override.compound not in inventory.compounds:
        raise SettingsError(f"{where}: there is no compound {override.compound!r}")
    if override.device is not None and override.device not in inventory.devices:
        raise SettingsError(f"{where}: there is no device {override.device!r}")
    has = {each.name for each in fields(rule.condition)} & set(_OF_CONDITION)
    for name in _OF_CONDITION:
        if getattr(override, name) is not None and name not in has:
            raise SettingsError(f"{where}: it has no {name!r}; it has {', '.join(sorted(has)) or 'none of these'}")
    if kind is not None:
        try:
            made = overridden(rule, override)
            replace(kind, alarms=tuple(made if each.name == rule.name else each for each in kind.alarms))
        except DeclarationError as exc:
            raise SettingsError(f"{where}: {exc.message}") from exc
