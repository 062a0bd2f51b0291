"""Parcels in the lockers of a compound: who brings them when, into which cell, and when they are fetched.

Whether a cell is free depends on all parcels before, so parcels are lived through a quarter of a year at a time. Each
quarter begins with empty lockers: on the evening before, at the stock-taking, whoever still has a parcel inside
fetches it.
"""

import datetime as dt
import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times
from simulators.site import HOUR_MS, Day, Site

SIZES = ("small", "medium", "large")
OVERDUE_H = 24.0
REFUSED = -1

_SIZE_SHARES = (0.55, 0.33, 0.12)
_PARCELS_PER_RESIDENT = 0.14
# A courier's rounds: share of the day's parcels, hour (mean, deviation).
_ROUNDS = ((0.6, 11.2, 0.6), (0.4, 16.6, 0.6))
_BETWEEN_PARCELS_S = 18.0
_LAST_ROUND_H = 18.5
_EVENING_SHARE = 0.55
_FORGOTTEN_SHARE = 0.04
_STOCK_TAKING_H = (19.0, 23.5)
_FAULTY_SHARE = 0.012


@dataclass(frozen=True, slots=True)
class Parcels:
    """The parcels of one quarter, by time of deposit.

    Attributes:
        locker: int64[n], index of the locker.
        size: int64[n], index into `SIZES`.
        cell: int64[n], number of the cell from 0, or REFUSED where none of the size was free.
        in_ms: int64[n], when it was put in (or refused), ms since the epoch.
        out_ms: int64[n], when it was fetched.
        faulty: int64[lockers, sizes], cells out of order throughout the quarter.
    """

    locker: NDArray[np.int64]
    size: NDArray[np.int64]
    cell: NDArray[np.int64]
    in_ms: Times
    out_ms: Times
    faulty: NDArray[np.int64]


def quarter_of(date: dt.date) -> dt.date:
    """The first day of the quarter that `date` lies in."""
    return dt.date(date.year, (date.month - 1) // 3 * 3 + 1, 1)


def cells_of(site: Site) -> NDArray[np.int64]:
    """How many cells of each size each locker has; int64[lockers, sizes]."""
    return np.column_stack([site.attribute(size, 20) for size in SIZES]).astype(np.int64)


def parcels(site: Site, first: dt.date) -> Parcels:
    """All parcels of the quarter that begins on `first`."""
    rng = site.rng("parcels", first)
    after = quarter_of(first + dt.timedelta(days=100))
    days = [site.day(first + dt.timedelta(days=n)) for n in range((after - first).days)]
    locker, hours, day = _brought(rng, site, days)
    midnight = np.array([each.start_ms for each in days])[day]
    size = rng.choice(len(SIZES), len(locker), p=_SIZE_SHARES)
    in_ms = midnight + np.rint(hours * HOUR_MS).astype(np.int64)
    out_ms = midnight + np.rint(_fetched_h(rng, hours) * HOUR_MS).astype(np.int64)
    last = days[-1].at(rng.uniform(*_STOCK_TAKING_H, len(locker)))
    out_ms = np.where(out_ms >= last, last, out_ms)
    order = np.argsort(in_ms, kind="stable")
    locker, size, in_ms, out_ms = locker[order], size[order], in_ms[order], out_ms[order]
    cells = cells_of(site)
    faulty = rng.binomial(cells, _FAULTY_SHARE)
    cell = np.full(len(locker), REFUSED)
    for number in range(len(cells)):
        for code in range(len(SIZES)):
            rows = np.flatnonzero((locker == number) & (size == code))
            free = rng.permutation(cells[number, code])[faulty[number, code] :]
            cell[rows] = _placed(in_ms[rows].tolist(), out_ms[rows].tolist(), free.tolist())
    return Parcels(locker, size, cell, in_ms, out_ms, faulty)


def _brought(
    rng: np.random.Generator, site: Site, days: list[Day]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Locker, hour after midnight and index of the day of every parcel; couriers put in one after another."""
    lockers = len(site.devices)
    mean = _PARCELS_PER_RESIDENT * site.compound.residents / lockers
    shares, hours, deviations = np.array(_ROUNDS).T
    shape = (len(days), lockers, len(_ROUNDS))
    # Mondays bring what was ordered at the weekend.
    busy = np.array([{0: 1.25, 6: 0.75}.get(day.date.weekday(), 1.0) for day in days])[:, None, None]
    counts = rng.poisson(mean * shares * busy, shape)
    starts = hours + deviations * np.clip(rng.normal(size=shape), -2, 2)
    flat = counts.ravel()
    visit = np.repeat(np.arange(flat.size), flat)
    place = np.arange(len(visit)) - np.repeat(np.cumsum(flat) - flat, flat)
    at = starts.ravel()[visit] + (place * _BETWEEN_PARCELS_S + rng.uniform(0, 12, len(visit))) / 3600
    day, locker, _ = np.unravel_index(visit, shape)
    return locker, np.minimum(at, _LAST_ROUND_H), day


def _fetched_h(rng: np.random.Generator, hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """When parcels put in at `hours` are fetched, after the same midnight: often in the evening, never at night."""
    count = len(hours)
    soon = hours + np.clip(4.5 * np.exp(0.9 * rng.normal(size=count)), 0.08, 60)
    evening = np.clip(rng.normal(18.9, 1.1, count), 17.2, 22.5)
    fetched = np.where((rng.random(count) < _EVENING_SHARE) & (evening > hours + 0.1), evening, soon)
    forgotten = rng.random(count) < _FORGOTTEN_SHARE
    fetched = np.where(forgotten, hours + rng.uniform(OVERDUE_H + 0.5, 66, count), fetched)
    clock = fetched % 24
    asleep = (clock > 23) | (clock < 6.5)
    morning = fetched - clock + np.where(clock > 12, 24, 0) + rng.uniform(6.8, 9.0, count)
    return np.where(asleep, morning, fetched)


def _placed(in_ms: list[int], out_ms: list[int], free: list[int]) -> list[int]:
    """The cell of each parcel of one locker and size: the one emptied last; REFUSED where none is."""
    empty = free[::-1]
    taken: list[tuple[int, int]] = []
    cells = []
    for arrives, leaves in zip(in_ms, out_ms, strict=True):
        while taken and taken[0][0] < arrives:
            empty.append(heapq.heappop(taken)[1])
        cell = empty.pop() if empty else REFUSED
        if cell != REFUSED:
            heapq.heappush(taken, (leaves, cell))
        cells.append(cell)
    return cells
