"""Who goes in and out of a compound, and when: residents by their way of life, visitors, staff, deliveries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.site import Day, Site

RESIDENT, VISITOR, STAFF, DELIVERY = range(4)

# How each opens a gate: face, card, qr, pin, remote.
METHODS = np.array([
    [0.78, 0.12, 0.05, 0.03, 0.02],
    [0.00, 0.05, 0.35, 0.25, 0.35],
    [0.45, 0.53, 0.00, 0.02, 0.00],
    [0.00, 0.00, 0.50, 0.30, 0.20],
])  # fmt: skip

_WORKER, _STUDENT, _RETIRED, _HOME, _NIGHT = range(5)
_SHARES = {_WORKER: 0.46, _STUDENT: 0.14, _RETIRED: 0.28, _NIGHT: 0.008}

# A day's three trips by way of life: how likely, hour of leaving (mean, deviation), hours away (median, spread of the
# logarithm). First weekdays, then weekends; rows are worker, student, retired, home, night shift.
_NONE = (0.0, 8.0, 0.1, 1.0, 0.1)
_TRIPS = np.array([
    [
        [(0.93, 7.75, 0.55, 10.2, 0.10), _NONE, (0.22, 19.9, 0.7, 0.8, 0.5)],
        [(0.96, 7.30, 0.25, 9.3, 0.05), _NONE, (0.12, 19.2, 0.5, 0.7, 0.4)],
        [(0.72, 8.40, 1.00, 1.2, 0.5), (0.45, 14.9, 1.0, 1.5, 0.5), (0.38, 19.0, 0.5, 0.9, 0.4)],
        [(0.50, 9.30, 1.20, 1.3, 0.6), (0.50, 15.5, 1.2, 1.2, 0.6), (0.20, 19.1, 0.7, 0.9, 0.4)],
        [_NONE, (0.40, 15.0, 0.8, 1.0, 0.4), (0.85, 21.6, 0.3, 9.1, 0.04)],
    ],
    [
        [(0.45, 9.60, 1.10, 1.8, 0.6), (0.50, 14.6, 1.2, 3.0, 0.5), (0.30, 18.9, 0.9, 1.8, 0.6)],
        [(0.30, 9.00, 1.00, 3.0, 0.4), (0.45, 14.3, 1.0, 2.6, 0.4), (0.15, 19.0, 0.6, 1.0, 0.5)],
        [(0.70, 8.50, 1.00, 1.3, 0.5), (0.45, 14.9, 1.0, 1.7, 0.5), (0.38, 19.0, 0.5, 0.9, 0.4)],
        [(0.50, 9.70, 1.20, 1.5, 0.6), (0.45, 15.2, 1.2, 1.8, 0.6), (0.20, 19.1, 0.7, 1.0, 0.4)],
        [_NONE, (0.40, 15.0, 0.8, 1.0, 0.4), (0.60, 21.6, 0.3, 9.1, 0.04)],
    ],
])  # fmt: skip
_WIDEST = 2.5  # draws beyond so many deviations are cut, which bounds when a trip may begin
_EARLIEST_H = 4.6
_HOME_BY_H = 27.4
_NIGHT_HOME_BY_H = 33.0
_BETWEEN_H = 0.1

# Visits: who, how many for each resident on a weekday and at the weekend, (share, hour, deviation) of when they come,
# hours inside (median, spread of the logarithm).
_VISITS = (
    (VISITOR, 0.05, 0.11, ((0.3, 10.0, 1.2), (0.25, 15.0, 1.3), (0.45, 18.6, 1.2)), 1.6, 0.6),
    (STAFF, 0.012, 0.008, ((0.75, 6.9, 0.3), (0.25, 13.2, 0.4)), 8.2, 0.15),
    (DELIVERY, 0.13, 0.16, ((0.25, 10.9, 0.8), (0.3, 12.0, 0.6), (0.45, 18.2, 1.1)), 0.12, 0.45),
)


@dataclass(frozen=True, slots=True)
class Trips:
    """Residents' trips of one day, each a pass out and a pass in.

    Attributes:
        person: int64[n], index of the resident, who exists only in here.
        out_h: float64[n], when they leave, in hours after midnight.
        in_h: float64[n], when they are back, in hours after the same midnight.
    """

    person: NDArray[np.int64]
    out_h: NDArray[np.float64]
    in_h: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Visits:
    """Visits of one day, each a pass in and a pass out.

    Attributes:
        who: int64[n], category of the visitor.
        in_h: float64[n], when they come, in hours after midnight.
        out_h: float64[n], when they leave, in hours after the same midnight.
    """

    who: NDArray[np.int64]
    in_h: NDArray[np.float64]
    out_h: NDArray[np.float64]


def roles(site: Site) -> NDArray[np.int64]:
    """The way of life of each resident, the same every day; int64[residents]."""
    residents = site.compound.residents
    made = np.full(residents, _HOME)
    counts = {role: int(share * residents) for role, share in _SHARES.items()}
    placed = np.repeat(list(counts), list(counts.values()))
    made[: len(placed)] = placed
    return site.rng("residents").permutation(made)


def residents_trips(site: Site, ways: NDArray[np.int64], day: Day) -> Trips:
    """The trips that begin on `day`, none of a resident overlapping another of the same or the next day.

    Args:
        site: the gates of a compound.
        ways: the residents' ways of life, from `roles`.
        day: the day on which the trips begin.
    """
    rng = site.rng("trips", day.date)
    rows = _TRIPS[int(day.is_weekend)][ways]
    shape = rows.shape[:2]
    drawn = np.clip(rng.normal(size=(2, *shape)), -_WIDEST, _WIDEST)
    wanted = rng.random(shape) < rows[..., 0]
    leave = np.maximum(rows[..., 1] + rows[..., 2] * drawn[0], _EARLIEST_H)
    away = rows[..., 3] * np.exp(rows[..., 4] * drawn[1])
    free = np.zeros(shape[0])
    limit = np.where(ways == _NIGHT, _NIGHT_HOME_BY_H, _HOME_BY_H)
    back = np.zeros(shape)
    for slot in range(shape[1]):
        leave[:, slot] = np.maximum(leave[:, slot], free + _BETWEEN_H)
        back[:, slot] = leave[:, slot] + away[:, slot]
        wanted[:, slot] &= back[:, slot] < limit
        free = np.where(wanted[:, slot], back[:, slot], free)
    person, slot_of = np.nonzero(wanted)
    return Trips(person, leave[person, slot_of], back[person, slot_of])


def visits(site: Site, day: Day) -> Visits:
    """The visits that begin on `day`; all have left by the end of the night."""
    rng = site.rng("visits", day.date)
    who, come, leave = [], [], []
    for category, weekday, weekend, peaks, stay, spread in _VISITS:
        rate = weekend if day.is_weekend else weekday
        count = int(rng.poisson(rate * site.compound.residents))
        shares, hours, deviations = np.array(peaks).T
        peak = rng.choice(len(peaks), count, p=shares)
        came = np.maximum(hours[peak] + deviations[peak] * rng.normal(size=count), _EARLIEST_H)
        left = came + np.maximum(stay * np.exp(spread * rng.normal(size=count)), 0.02)
        who.append(np.full(count, category))
        come.append(np.minimum(came, 23.5))
        leave.append(np.clip(left, come[-1] + 0.02, _HOME_BY_H))
    return Visits(np.concatenate(who), np.concatenate(come), np.concatenate(leave))
