"""Availability: online, offline, or not known to be either.

A device's status holds until its next status, however long; its telemetry says for a while that it is there. It is
offline while its last status is "offline"; under maintenance while that says so; online while its telemetry holds and
its last status is neither; and unknown otherwise.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregate import state
from aggregate.figures import Figures
from aggregate.lines import Line
from aggregate.partials import Column, Scope, Value
from aggregate.timeline import OFFLINE, ONLINE, STATE, Marks, declared, seconds_by_code
from aggregate.view import View
from devices.columns import Floats
from devices.kind import STATUS, Kind
from devices.statistics import Statistic

_OUTAGES = "outages"


def columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The seconds in each state, and the entries into offline."""
    del kind, statistic
    for label in STATE.labels:
        yield Column(name=f"{label}_s", scope=Scope.DEVICE, unit="s")
    yield Column(name=_OUTAGES, scope=Scope.DEVICE, unit="outages")


def partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `columns`."""
    del statistic
    return view.once("presence", lambda: {**_seconds_by_state(view), _OUTAGES: _entries(view)})


def online(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The share of the time known to be online or offline that was online."""
    del statistic
    here, away = (figures.partials.numbers(f"{STATE.labels[code]}_s").sum(axis=0) for code in (ONLINE, OFFLINE))
    known = here + away
    values = np.divide(here, known, out=np.full(len(known), np.nan), where=known > 0)
    yield Line(None, values, state_coverage(figures))


def offline_seconds(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The seconds known to be offline, summed over devices."""
    del statistic
    coverage = state_coverage(figures)
    away = figures.partials.numbers(f"{STATE.labels[OFFLINE]}_s").sum(axis=0)
    yield Line(None, np.where(coverage > 0, away, np.nan), coverage)


def outages(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The entries into offline, summed over devices."""
    del statistic
    counts, coverage = figures.partials.numbers(_OUTAGES).sum(axis=0), state_coverage(figures)
    yield Line(None, np.where((coverage > 0) | (counts > 0), counts, np.nan), coverage)


def state_coverage(figures: Figures) -> Floats:
    """float64[m]: the share of the devices' time in which their state was known."""
    known = sum(figures.partials.numbers(f"{label}_s") for label in STATE.labels)
    return figures.share(np.asarray(known), len(figures.devices))


def said_of(view: View) -> Marks:
    """What the devices' statuses said, on a line for each device."""
    status, column = view.labels(STATUS, STATE.name)
    return Marks(status.time, np.repeat(view.owners(STATUS), np.diff(status.offsets)), declared(column))


def _entries(view: View) -> Floats:
    """float64[d, m]: the entries of each device into offline."""
    layout, column = view.labels(STATUS, STATE.name)
    counts = state.entries(layout.holds, declared(column), len(STATE.labels))[..., OFFLINE]
    return view.placed(STATUS, counts.astype(np.float64))


def _seconds_by_state(view: View) -> dict[str, Floats]:
    """float64[d, m] by column: the seconds of each device in each state."""
    alive, devices = view.alive, len(view.devices)
    line = np.repeat(np.arange(devices), np.diff(alive.offsets))
    heard = Marks(alive.time, line, np.full(len(line), ONLINE, np.int32))
    seconds = seconds_by_code(
        said_of(view), heard, devices, view.edges, max_hold_ns=alive.max_hold_ns, codes=len(STATE.labels)
    )
    return {f"{label}_s": seconds[..., place] for place, label in enumerate(STATE.labels)}
