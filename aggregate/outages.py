"""Outages: how long the repaired ones lasted, and the uptime of parts that may be down while their device is there."""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregate import presence
from aggregate.edges import NS_PER_S
from aggregate.event import counted, summed
from aggregate.figures import Figures, Mask
from aggregate.lines import Line
from aggregate.partials import Column, Scope, Value, scope_of
from aggregate.presence import said_of, state_coverage
from aggregate.ragged import Offsets
from aggregate.segments import Indices
from aggregate.timeline import MAINTENANCE, OFFLINE, STATE, Marks, declared, seconds_by_code
from aggregate.view import View, read
from devices.kind import STATUS, Kind
from devices.statistics import Statistic

_REPAIRED, _REPAIRED_S = "repaired", "repaired_s"
_UP, _DOWN, _EXCLUDED = "up", "down", "excluded"
_UP_CODE, _DOWN_CODE = len(STATE.labels), len(STATE.labels) + 1
_CODES = len(STATE.labels) + 2


def repair_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """How many outages ended, and how long they had lasted; and the time in which the state was known."""
    yield from presence.columns(kind, statistic)
    yield Column(name=_REPAIRED, scope=Scope.DEVICE, unit="outages")
    yield Column(name=_REPAIRED_S, scope=Scope.DEVICE, unit="s")


def repair_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `repair_columns`."""
    layout, column = view.labels(STATUS, STATE.name)
    away = declared(column) == OFFLINE
    begun, ended = _ended(away, layout.offsets)
    time = layout.time[ended]
    series = view.places(STATUS)[np.searchsorted(layout.offsets, ended, "right") - 1]
    seconds = (time - layout.time[begun]) / NS_PER_S
    number = len(view.expected(STATUS))
    return {
        **presence.partials(view, statistic),
        _REPAIRED: counted(time, series, number, view.edges).astype(np.float64),
        _REPAIRED_S: summed(time, seconds, series, number, view.edges),
    }


def repair_time(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The mean length of the outages that ended."""
    del statistic
    count, seconds = (figures.partials.numbers(name).sum(axis=0) for name in (_REPAIRED, _REPAIRED_S))
    values = np.divide(seconds, count, out=np.full(len(count), np.nan), where=count > 0)
    yield Line(None, values, state_coverage(figures))


def uptime_columns(kind: Kind, statistic: Statistic) -> Iterator[Column]:
    """The seconds in which a part was up, down, and down for maintenance."""
    for what in (_UP, _DOWN, _EXCLUDED):
        scope = scope_of(kind.tables[statistic.table])
        yield Column(name=f"{statistic.name}_{what}_s", scope=scope, unit="s")


def uptime_partials(view: View, statistic: Statistic) -> Mapping[str, Value]:
    """See `uptime_columns`."""
    layout, column = view.labels(statistic.table, read(statistic))
    down = np.array([label in statistic.labels for label in column.labels], np.bool_)[column.codes]
    line = np.repeat(view.places(statistic.table), np.diff(layout.offsets))
    heard = Marks(layout.time, line, np.where(down, _DOWN_CODE, _UP_CODE).astype(np.int32))
    seconds = seconds_by_code(
        _said_of_parts(view, statistic.table), heard, len(view.expected(statistic.table)), view.edges,
        max_hold_ns=layout.max_hold_ns, codes=_CODES,
    )  # fmt: skip
    return {
        f"{statistic.name}_{_UP}_s": seconds[..., _UP_CODE],
        f"{statistic.name}_{_DOWN}_s": seconds[..., _DOWN_CODE] + seconds[..., OFFLINE],
        f"{statistic.name}_{_EXCLUDED}_s": seconds[..., MAINTENANCE],
    }


def uptime(figures: Figures, statistic: Statistic) -> Iterator[Line]:
    """The share of the known time in which parts were not down, maintenance excluded from what counts as down."""
    up, down, excluded = (figures.partials.numbers(f"{statistic.name}_{what}_s") for what in (_UP, _DOWN, _EXCLUDED))
    known = up + down + excluded
    for label, series, expected in figures.groups(statistic):
        whole, lost = known[series].sum(axis=0), down[series].sum(axis=0)
        values = np.divide(whole - lost, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        yield Line(label, values, figures.share(known[series], expected))


def _ended(away: Mask, offsets: Offsets) -> tuple[Indices, Indices]:
    """The rows with which outages began, and those with which they ended.

    Args:
        away: bool[n], whether a status says so.
        offsets: intp[s + 1], where each series begins.
    """
    same = np.ones(len(away), np.bool_)  # whether a row is of the same series as the one before it
    same[offsets[:-1][offsets[:-1] < len(away)]] = False
    before = np.concatenate([[False], away[:-1]]) & same
    begins = np.flatnonzero(away & ~before)
    ended = np.flatnonzero(~away & before)
    return begins[np.searchsorted(begins, ended) - 1], ended


def _said_of_parts(view: View, table: str) -> Marks:
    """What the devices' statuses said, on a line for each of their parts."""
    said = said_of(view)
    place = {(each.compound, each.id): number for number, each in enumerate(view.devices)}
    owners = np.array([place[key.compound, key.device] for key in view.expected(table)], np.intp)
    order = np.argsort(said.line, kind="stable")
    bounds = np.searchsorted(said.line[order], np.arange(len(view.devices) + 1))
    number = np.diff(bounds)[owners]
    ends = np.cumsum(number)
    rows = order[np.arange(int(number.sum())) + np.repeat(bounds[owners] - (ends - number), number)]
    return Marks(said.time[rows], np.repeat(np.arange(len(owners)), number), said.code[rows])
