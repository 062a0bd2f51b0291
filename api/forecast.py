"""What is likely to be full next: the forecasts of each device, from few questions to the store."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aggregate.evaluate import results_of
from aggregate.reducers import grid
from api.context import Context
from api.rows import finite
from api.times import NS_PER_S
from devices.inventory import Compound, Device
from devices.kind import Kind
from devices.statistics import Reducer
from rollups.grains import QUARTER_NS

_LOW, _HIGH = -1, 1
"""The bounds of a statistic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """When one part of a device is likely to be full.

    Attributes:
        device: which device.
        part: which part; None where it has none.
        seconds: from now on.
        low: at least so many, with 90 % confidence; None where there is too little to say.
        high: at most so many; None as well.
    """

    device: Device
    part: str | None
    seconds: float
    low: float | None
    high: float | None


def forecasts(context: Context, compounds: Iterable[Compound], *, within_s: float) -> list[Forecast]:
    """What will be full within some time, the soonest first.

    Args:
        context: the world.
        compounds: of which compounds.
        within_s: seconds from now on.

    Returns:
        The forecasts as of the last whole quarter of an hour.

    Raises:
        StoreError: the store failed.
    """
    wanted = tuple(compounds)
    found = [each for kind in context.kinds.values() for each in _of_kind(context, kind, wanted)]
    return sorted((each for each in found if each.seconds <= within_s), key=lambda each: each.seconds)


def _of_kind(context: Context, kind: Kind, compounds: tuple[Compound, ...]) -> list[Forecast]:
    statistics = [each for each in kind.statistics if each.reducer is Reducer.TIME_TO_FULL]
    if not statistics:
        return []
    now_ns = context.clock()
    stop = now_ns // QUARTER_NS * QUARTER_NS
    edges = np.array([stop - QUARTER_NS, stop], np.int64)
    found: list[Forecast] = []
    for zone in dict.fromkeys(each.timezone for each in compounds):
        devices = [device for each in compounds if each.timezone == zone for device in each.of_kind(kind.name)]
        if not devices:
            continue
        partials = context.reader.partials(kind, statistics, devices, grid(kind, statistics, edges, zone), zone)
        for device in devices:
            mine = (device,)
            results = results_of(kind, statistics, mine, partials.only(mine), edges, tz=zone, attributes={})
            lines = {
                (each.statistic.bound, line.label): finite(line.values)[0] for each in results for line in each.lines
            }
            past_s = (now_ns - stop) / NS_PER_S
            found += [
                Forecast(
                    device=device,
                    part=part,
                    seconds=max(value - past_s, 0.0),
                    low=_less(lines.get((_LOW, part)), past_s),
                    high=_less(lines.get((_HIGH, part)), past_s),
                )
                for (bound, part), value in lines.items()
                if bound == 0 and value is not None
            ]
    return found


def _less(value: float | None, by: float) -> float | None:
    return None if value is None else max(value - by, 0.0)
