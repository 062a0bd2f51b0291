"""Availability: online, offline, or not known to be either.

A device's status holds until its next status, however long; its telemetry says for a while that it is there. It is
offline while its last status is "offline"; under maintenance while that says so; online while its telemetry holds and
its last status is neither; and unknown otherwise.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregate import state
from aggregate.figures import Figures, Mask
from aggregate.holds import Holds, Indices, following
from aggregate.lines import Line
from aggregate.partials import Column, Scope, Value
from aggregate.view import View
from devices.columns import Coded, Codes, Floats
from devices.kind import STATUS, STATUS_FIELDS, Kind
from devices.statistics import Statistic

_STATE = STATUS_FIELDS[0]
_OFFLINE, _ONLINE = _STATE.labels.index("offline"), _STATE.labels.index("online")
_OUTAGES = "outages"


def columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The seconds in each state, and the entries into offline."""
    del kind, statistic
    for label in _STATE.labels:
        yield Column(name=f"{label}_s", scope=Scope.DEVICE, unit="s")
    yield Column(name=_OUTAGES, scope=Scope.DEVICE, unit="outages")


def partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `columns`."""
    del statistic
    return view.once("presence", lambda: {**_seconds_by_state(view), _OUTAGES: _entries(view)})


def online(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The share of the time known to be online or offline that was online."""
    del statistic
    here, away = (figures.partials.numbers(f"{_STATE.labels[code]}_s").sum(axis=0) for code in (_ONLINE, _OFFLINE))
    known = here + away
    values = np.divide(here, known, out=np.full(len(known), np.nan), where=known > 0)
    yield Line(None, values, _coverage(figures))


def offline_seconds(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The seconds known to be offline, summed over devices."""
    del statistic
    coverage = _coverage(figures)
    away = figures.partials.numbers(f"{_STATE.labels[_OFFLINE]}_s").sum(axis=0)
    yield Line(None, np.where(coverage > 0, away, np.nan), coverage)


def outages(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The entries into offline, summed over devices."""
    del statistic
    counts, coverage = figures.partials.numbers(_OUTAGES).sum(axis=0), _coverage(figures)
    yield Line(None, np.where((coverage > 0) | (counts > 0), counts, np.nan), coverage)


def _coverage(figures: Figures) -> Floats:
    """The share of the devices' time in which their state was known."""
    known = sum(figures.partials.numbers(f"{label}_s") for label in _STATE.labels)
    return figures.share(np.asarray(known), len(figures.devices))


def _entries(view: View) -> Floats:
    """float64[d, m]: the entries of each device into offline."""
    layout, column = view.labels(STATUS, _STATE.name)
    counts = state.entries(layout.holds, _declared(column), len(_STATE.labels))[..., _OFFLINE]
    return view.placed(STATUS, counts.astype(np.float64))


def _declared(column: Coded) -> Codes:
    """The codes of the declared labels, whatever the order of a column's own."""
    return np.array([*(_STATE.labels.index(label) for label in column.labels)], np.int32)[column.codes]


def _seconds_by_state(view: View) -> dict[str, Floats]:
    """float64[d, m] by column: the seconds of each device in each state."""
    # One line of time per device, in which each row is a status or a sign of life.
    alive = view.alive
    status, column = view.labels(STATUS, _STATE.name)
    device = np.concatenate(
        [
            np.repeat(view.owners(STATUS), np.diff(status.offsets)),
            np.repeat(np.arange(len(view.devices)), np.diff(alive.offsets)),
        ]
    )
    time = np.concatenate([status.time, alive.time])
    code = np.concatenate([_declared(column), np.full(len(alive.time), _ONLINE, np.int32)])
    order = np.lexsort((time, device))
    device, time, code, said = device[order], time[order], code[order], order < len(status.time)
    offsets = np.searchsorted(device, np.arange(len(view.devices) + 1))

    begin = offsets[device]
    last_said, last_alive = _latest(said), _latest(~said)
    code = np.where(last_said >= begin, code[last_said], _ONLINE).astype(np.int32)
    lives = np.where(last_alive >= begin, time[last_alive] + alive.max_hold_ns, 0)
    after = following(time, offsets, view.edges)
    until = np.where(code == _ONLINE, np.clip(lives, time, after), after)
    holds = Holds(time, until, offsets, view.edges)
    seconds = state.seconds(holds, code, len(_STATE.labels))
    return {f"{label}_s": seconds[..., place] for place, label in enumerate(_STATE.labels)}


def _latest(mask: Mask) -> Indices:
    """intp[n]: the last row up to each row where `mask` is true; -1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
