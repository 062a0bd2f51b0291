"""Availability: online, offline, or not known to be either.

A device's status holds until its next status, however long; its telemetry says for a while that it is there. It is
offline while its last status is "offline"; under maintenance while that says so; online while its telemetry holds and
its last status is neither; and unknown otherwise.
"""

from collections.abc import Iterator

import numpy as np

from aggregate import state
from aggregate.holds import Holds, Indices, following
from aggregate.lines import Line
from aggregate.view import Mask, View
from devices.columns import Coded, Codes, Floats
from devices.kind import STATUS, STATUS_FIELDS
from devices.statistics import Statistic

_STATE = STATUS_FIELDS[0]
_OFFLINE, _ONLINE = _STATE.labels.index("offline"), _STATE.labels.index("online")


def online(view: View, statistic: Statistic) -> Iterator[Line]:
    """The share of the time known to be online or offline that was online."""
    del statistic
    seconds = _seconds(view).sum(axis=0)
    known = seconds[:, _ONLINE] + seconds[:, _OFFLINE]
    values = np.divide(seconds[:, _ONLINE], known, out=np.full(len(known), np.nan), where=known > 0)
    yield Line(None, values, _coverage(view))


def offline_seconds(view: View, statistic: Statistic) -> Iterator[Line]:
    """The seconds known to be offline, summed over devices."""
    del statistic
    coverage = _coverage(view)
    yield Line(None, np.where(coverage > 0, _seconds(view).sum(axis=0)[:, _OFFLINE], np.nan), coverage)


def outages(view: View, statistic: Statistic) -> Iterator[Line]:
    """The entries into offline, summed over devices."""
    del statistic
    layout, column = view.labels(STATUS, _STATE.name)
    codes = _declared(column)
    counts = state.entries(layout.holds, codes, len(_STATE.labels))[..., _OFFLINE].sum(axis=0)
    coverage = _coverage(view)
    yield Line(None, np.where((coverage > 0) | (counts > 0), counts, np.nan), coverage)


def _declared(column: Coded) -> Codes:
    """The codes of the declared labels, whatever the order of a column's own."""
    return np.array([*(_STATE.labels.index(label) for label in column.labels)], np.int32)[column.codes]


def _coverage(view: View) -> Floats:
    """The share of the devices' time in which their state was known."""
    return view.share(_seconds(view).sum(axis=-1), len(view.devices))


def _seconds(view: View) -> Floats:
    """float64[d, m, L]: the seconds of each device in each state."""
    return view.once("presence", lambda: _made(view))


def _made(view: View) -> Floats:
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
    return state.seconds(holds, code, len(_STATE.labels))


def _latest(mask: Mask) -> Indices:
    """intp[n]: the last row up to each row where `mask` is true; -1 before the first."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))
