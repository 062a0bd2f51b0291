"""Which faults a fleet is to have, and how often."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from devices.errors import SettingsError


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRates:
    """How often each fault happens; 0: never.

    Attributes:
        duplicates: share of messages that are published twice.
        reordering: share of messages that others overtake, by up to half a minute.
        lateness: share of messages that are kept back, by up to 48 hours.
        batches: share of devices and hours whose messages a gateway gathers into arrays.
        malformed: malformed messages beside each message.
        skew: spells of a wrong clock, per device and day.
        resets: resets of registers, per device and day.
        reboots: reboots, per device and day.
        frozen: spells in which a device that can freeze does, per device and day.
        outages: spells in which a device is dead, per device and day.
        uplinks: spells in which a compound is cut off and its messages wait, per compound and day.
    """

    duplicates: float = 0.0
    reordering: float = 0.0
    lateness: float = 0.0
    batches: float = 0.0
    malformed: float = 0.0
    skew: float = 0.0
    resets: float = 0.0
    reboots: float = 0.0
    frozen: float = 0.0
    outages: float = 0.0
    uplinks: float = 0.0

    @property
    def any(self) -> bool:
        """Whether there is any fault."""
        return any(dataclasses.astuple(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what the command line says.

        Args:
            text: "none", "all", or names separated by commas, each with a rate or its usual one: "skew,outages=0.2".

        Raises:
            SettingsError: a name is unknown or a rate is no number from 0 to 10 (shares: to 1).
        """
        if text.strip().lower() in {"", "none"}:
            return cls()
        if text.strip().lower() == "all":
            return cls(**_USUAL)
        found = {}
        for item in text.split(","):
            name, given, rate = item.strip().partition("=")
            if name not in _USUAL:
                raise SettingsError(f"no fault is called {name!r}; there are {', '.join(_USUAL)}, all and none")
            found[name] = _rate(name, rate) if given else _USUAL[name]
        return cls(**found)


NO_FAULTS = FaultRates()
"""Nothing goes wrong."""

_SHARES = ("duplicates", "reordering", "lateness", "batches", "malformed")
_USUAL = {
    "duplicates": 0.01,
    "reordering": 0.02,
    "lateness": 0.01,
    "batches": 0.05,
    "malformed": 0.005,
    "skew": 0.05,
    "resets": 0.1,
    "reboots": 0.1,
    "frozen": 0.1,
    "outages": 0.1,
    "uplinks": 0.1,
}


def _rate(name: str, text: str) -> float:
    most = 1.0 if name in _SHARES else 10.0
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= most:
        raise SettingsError(f"{name}={text!r}: write a number from 0 to {most:g}")
    return rate
