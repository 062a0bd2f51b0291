"""Whether devices are connected, from what they said last.

Offline or in maintenance: the last status says so. Online: the last telemetry still holds. Unknown: neither; unknown is
not offline.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter

from api.context import Context
from api.times import NS_PER_DAY
from devices.columns import Batch
from devices.inventory import Device
from devices.kind import STATUS, TELEMETRY, Kind

RECENT_DAYS = 1
"""How far back the last reading is looked for where many devices are asked about at once."""

_NAMED_DEVICES = 20  # up to here a store is asked for devices by id; above, for whole compounds


class State(StrEnum):
    """Whether a device is connected."""

    ONLINE = "online"
    OFFLINE = "offline"
    MAINTENANCE = "maintenance"
    UNKNOWN = "unknown"


_SAID = frozenset({State.OFFLINE, State.MAINTENANCE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """One device's connection.

    Attributes:
        state: what it is now.
        since_ns: since when: the time of the status that says so; for unknown, when the last reading ceased to hold;
            None where nothing tells.
        last_reading_ns: the device's own time of its last telemetry, or None where none was found.
        firmware: as the last status gives it, or None.
    """

    state: State
    since_ns: int | None = None
    last_reading_ns: int | None = None
    firmware: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    state: str
    time_ns: int
    firmware: str | None


def connections(context: Context, devices: Sequence[Device], *, days: int = RECENT_DAYS) -> dict[str, Connection]:
    """The connection of each of `devices`.

    Args:
        context: the world.
        devices: any devices.
        days: how far back to look for their last reading.

    Returns:
        By device id.
    """
    by_kind = attrgetter("kind")
    groups = [(name, tuple(group)) for name, group in groupby(sorted(devices, key=by_kind), by_kind)]
    found: dict[str, Connection] = {}
    for each in context.beside(lambda group: _of_kind(context, context.kinds[group[0]], group[1], days), groups):
        found.update(each)
    return found


def counts(found: Iterable[Connection]) -> dict[State, int]:
    """How many of `found` are in each state; every state is there."""
    states = [each.state for each in found]
    return {state: states.count(state) for state in State}


def _of_kind(context: Context, kind: Kind, devices: tuple[Device, ...], days: int) -> Mapping[str, Connection]:
    now_ns = context.clock()
    compounds = sorted({each.compound for each in devices})
    ids = [each.id for each in devices] if len(devices) <= _NAMED_DEVICES else None
    # Whom it need not choose a store reads sooner.
    whole = context.inventory.is_whole and len(devices) == len(context.inventory.of_kind(kind.name))
    named = None if whole else compounds
    if named is None:
        ids = None
    status = context.store.latest(
        kind.tables[STATUS],
        since_ns=max(now_ns - context.options.status_days * NS_PER_DAY, 0),
        compounds=named,
        devices=ids,
    )
    telemetry = context.store.latest(
        kind.tables[TELEMETRY], since_ns=max(now_ns - days * NS_PER_DAY, 0), compounds=named, devices=ids, fields=()
    )
    said = _last_said(status)
    read = _last_read(telemetry)
    return {each.id: _connection(said.get(each.id), read.get(each.id), now_ns, kind.max_hold_ns) for each in devices}


def _connection(said: _Said | None, read_ns: int | None, now_ns: int, hold_ns: int) -> Connection:
    firmware = said.firmware if said is not None else None
    if said is not None and said.state in _SAID:
        return Connection(state=State(said.state), since_ns=said.time_ns, last_reading_ns=read_ns, firmware=firmware)
    if read_ns is not None and now_ns - read_ns < hold_ns:
        since_ns = said.time_ns if said is not None else None
        return Connection(state=State.ONLINE, since_ns=since_ns, last_reading_ns=read_ns, firmware=firmware)
    since_ns = read_ns + hold_ns if read_ns is not None else None
    return Connection(state=State.UNKNOWN, since_ns=since_ns, last_reading_ns=read_ns, firmware=firmware)


def _last_said(batch: Batch) -> dict[str, _Said]:
    states, firmware = batch.coded("state").decoded(), batch.coded("firmware").decoded()
    return {
        batch.keys[series].device: _Said(state=state, time_ns=time, firmware=version)
        for series, time, state, version in zip(
            batch.series.tolist(), batch.time.tolist(), states, firmware, strict=True
        )
        if state is not None
    }


def _last_read(batch: Batch) -> dict[str, int]:
    found: dict[str, int] = {}
    for series, time in zip(batch.series.tolist(), batch.time.tolist(), strict=True):
        device = batch.keys[series].device
        found[device] = max(time, found.get(device, time))
    return found
