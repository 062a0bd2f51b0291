"""What a fleet is asked to do."""

import datetime as dt
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from devices.errors import SettingsError
from devices.inventory import Inventory
from simulators.faults.options import NO_FAULTS, FaultRates
from simulators.sessions import INSTALLED

MOST_PER_MESSAGE = 1000
"""More readings than so many in one array would come near the limit of 256 KiB for a payload."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NOW = re.compile(r"now(?:-(\d{1,6})([smhd]))?")
_LATEST_YEAR = 2200


class Connections(StrEnum):
    """What has an MQTT connection of its own."""

    DEVICE = "device"
    COMPOUND = "compound"


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetOptions:
    """What a fleet is asked to do.

    Attributes:
        start_ms: where simulated time begins, ms since the epoch.
        stop_ms: where it ends, or None to go on for ever.
        speed: how many times faster than real time the clock runs; None for history as fast as can be, then live.
        seed: the same seed gives the same readings.
        connections: one connection for each device, or for each compound (a gateway).
        batch: at most so many readings of one device and channel in one message.
        window: at most so many messages without a PUBACK on one connection.
        faults: what goes wrong on purpose, and how often.
        flush_s: how long a fleet that is stopped waits for outstanding PUBACKs, in real seconds.
    """

    start_ms: int
    stop_ms: int | None = None
    speed: float | None = None
    seed: int = 1
    connections: Connections = Connections.COMPOUND
    batch: int = 1
    window: int = 100
    faults: FaultRates = NO_FAULTS
    flush_s: float = 10.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SettingsError: one of them makes no sense; the message says what to give instead.
        """
        earliest = dt.datetime(INSTALLED.year, INSTALLED.month, INSTALLED.day + 2, tzinfo=dt.UTC)
        latest = dt.datetime(_LATEST_YEAR, 1, 1, tzinfo=dt.UTC)
        bounds = (earliest.timestamp() * 1000, latest.timestamp() * 1000)
        for name, value in (("from", self.start_ms), ("to", self.stop_ms)):
            if value is not None and not bounds[0] <= value <= bounds[1]:
                raise SettingsError(f"--{name} must lie between {earliest:%Y-%m-%d} and {latest:%Y-%m-%d}")
        if self.stop_ms is not None and self.stop_ms < self.start_ms:
            raise SettingsError("--to lies before --from; exchange them")
        if self.speed is not None and not 0 < self.speed <= 100_000:
            raise SettingsError("--speed must be a number above 0 and at most 100000, or max")
        if not 0 <= self.seed < 2**63:
            raise SettingsError("--seed must be a whole number from 0 to 2^63 - 1")
        if not 1 <= self.batch <= MOST_PER_MESSAGE:
            raise SettingsError(f"--batch must be from 1 to {MOST_PER_MESSAGE}")
        if not 1 <= self.window <= 65_535:
            raise SettingsError("--window must be from 1 to 65535")


def parse_time(text: str, now_ms: int, timezone: ZoneInfo) -> int:
    """Read a point in time.

    Args:
        text: `now`, `now-24h` (units s, m, h, d), or ISO 8601; without an offset, local time of the installation.
        now_ms: what `now` is, ms since the epoch.
        timezone: the installation's time zone.

    Returns:
        Milliseconds since the epoch.

    Raises:
        SettingsError: the text is none of these.
    """
    if found := _NOW.fullmatch(text.strip().lower()):
        amount, unit = found.groups()
        ago = dt.timedelta(**{_UNITS[unit]: int(amount)}) if unit else dt.timedelta()
        return now_ms - round(ago.total_seconds() * 1000)
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        return round((moment if moment.tzinfo else moment.replace(tzinfo=timezone)).timestamp() * 1000)
    except (ValueError, OverflowError) as exc:
        raise SettingsError(f"{text!r} is no time; write 2025-11-01T00:00+08:00, now or now-24h") from exc


def parse_speed(text: str) -> float | None:
    """Read a speed: a positive number, or `max` (None).

    Raises:
        SettingsError: the text is neither.
    """
    if text.strip().lower() == "max":
        return None
    try:
        return float(text)
    except ValueError as exc:
        raise SettingsError(f"{text!r} is no speed; write a number such as 60, or max") from exc


def selected(inventory: Inventory, compounds: str, kinds: str) -> Inventory:
    """The part of an inventory that takes part.

    Args:
        inventory: the whole inventory.
        compounds: ids, separated by commas; empty for all.
        kinds: names of kinds, separated by commas; empty for all.

    Raises:
        SettingsError: one of them is not in the inventory, or nothing is left.
    """
    known = {device.kind for device in inventory.devices.values()}
    chosen = _listed(compounds, set(inventory.compounds), "compound") or set(inventory.compounds)
    wanted = _listed(kinds, known, "kind") or known
    kept = {
        id_: replace(compound, devices=tuple(device for device in compound.devices if device.kind in wanted))
        for id_, compound in inventory.compounds.items()
        if id_ in chosen
    }
    if not any(compound.devices for compound in kept.values()):
        raise SettingsError("no device is left to simulate; name other compounds or kinds")
    return Inventory(inventory.name, MappingProxyType(kept))


def _listed(text: str, known: set[str], what: str) -> set[str]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(names - known):
        raise SettingsError(f"unknown {what} {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return names
