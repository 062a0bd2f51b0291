"""Devices, with how each is now."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from api.connection import RECENT_DAYS, Connection, State, connections
from api.context import Context
from api.models import DeviceDetail, DeviceList, DeviceSummary, FieldModel, LatestReading, PartModel, Title
from api.present import Present
from api.rows import parts, records
from api.times import NS_PER_DAY, NS_PER_S, rfc3339
from devices.columns import Batch
from devices.errors import QueryError
from devices.inventory import Device
from devices.kind import TELEMETRY


@dataclass(frozen=True, kw_only=True, slots=True)
class DevicesQuestion:
    """Which devices are asked for; None matches all.

    Attributes:
        compound: id of a compound.
        building: a building of that compound.
        kinds: names of kinds; none means all.
        state: the state that they are in now.
        limit: the most devices on a page.
        offset: how many to leave out in front.
    """

    compound: str | None
    building: str | None
    kinds: tuple[str, ...]
    state: State | None
    limit: int
    offset: int


def find(context: Context, question: DevicesQuestion, present: Present) -> DeviceList:
    """One page of the devices that match, in the inventory's order.

    Args:
        context: the world.
        question: which.
        present: how devices are.

    Returns:
        The page.

    Raises:
        NotFoundError: the compound does not exist.
        QueryError: an unknown kind or building.
    """
    matching = _matching(context, question)
    if question.state is None:
        page = matching[question.offset : question.offset + question.limit]
        known = present.devices(page)
    else:
        known = present.devices(matching)
        matching = [device for device in matching if known[device.id].state is question.state]
        page = matching[question.offset : question.offset + question.limit]
    end = question.offset + len(page)
    return DeviceList(
        total=len(matching),
        limit=question.limit,
        offset=question.offset,
        next_offset=end if page and end < len(matching) else None,
        devices=[_summary(context, device, known[device.id]) for device in page],
    )


def detail(context: Context, device: Device, present: Present) -> DeviceDetail:
    """One device, its connection and the newest telemetry of each of its parts."""
    kind = context.kinds[device.kind]
    table = kind.tables[TELEMETRY]
    now_ns = context.clock()
    # Nearly every device has reported within a day; only for one that has not, all of history is searched.
    for days in sorted({RECENT_DAYS, context.options.status_days}):
        newest = context.store.latest(
            table,
            since_ns=max(now_ns - days * NS_PER_DAY, 0),
            compounds=(device.compound,),
            devices=(device.id,),
        )
        if len(newest):
            break
    if days == RECENT_DAYS:
        connection = present.devices((device,))[device.id]
    else:
        connection = connections(context, (device,), days=days)[device.id]
    summary = _summary(context, device, connection)
    return DeviceDetail(
        **dict(summary),
        title=Title.of(kind.title),
        part=PartModel.of(kind.part) if kind.part is not None else None,
        attributes=dict(device.attributes),
        firmware=connection.firmware,
        interval_s=kind.interval_s,
        fields=[FieldModel.of(field) for field in table.fields],
        latest=_latest(context, device, newest, now_ns),
    )


def _latest(context: Context, device: Device, newest: Batch, now_ns: int) -> list[LatestReading]:
    tz = context.compound(device.compound).timezone
    rows = np.arange(len(newest))
    return [
        LatestReading(part=part, time=rfc3339(time, tz), age_s=max(now_ns - time, 0) / NS_PER_S, values=values)
        for part, time, values in zip(
            parts(newest, rows), newest.time.tolist(), records(newest, tuple(newest.columns), rows), strict=True
        )
    ]


def _summary(context: Context, device: Device, connection: Connection) -> DeviceSummary:
    tz = context.compound(device.compound).timezone
    since, last = connection.since_ns, connection.last_reading_ns
    return DeviceSummary(
        id=device.id,
        kind=device.kind,
        compound=device.compound,
        building=device.building,
        parts=[part for part in device.parts if part],
        state=connection.state,
        since=rfc3339(since, tz) if since is not None else None,
        last_reading=rfc3339(last, tz) if last is not None else None,
    )


def _matching(context: Context, question: DevicesQuestion) -> Sequence[Device]:
    kinds = {context.kind(name).name for name in question.kinds} or set(context.kinds)
    if question.compound is None:
        if question.building is not None:
            raise QueryError("buildings are numbered within a compound; send compound too", code="unknown_building")
        devices: Sequence[Device] = tuple(context.inventory.devices.values())
    else:
        compound = context.compound(question.compound)
        devices = compound.devices
        if question.building is not None:
            context.building(compound, question.building)
    return [
        device
        for device in devices
        if device.kind in kinds and (question.building is None or device.building == question.building)
    ]
