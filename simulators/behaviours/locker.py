"""Parcel lockers: couriers bring parcels in bulk, residents fetch them, mostly in the evening."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch, Coded, Times
from simulators.behaviour import Behaviour
from simulators.cache import Kept
from simulators.parcels import OVERDUE_H, REFUSED, SIZES, Parcels, cells_of, parcels, quarter_of
from simulators.site import HOUR_MS, Day, Site
from simulators.timeline import Instants
from simulators.weather import ambient_c

_LEFT_OPEN_SHARE = 0.004
_LEFT_OPEN_AFTER_MS = 60_000


class _Quarter(NamedTuple):
    parcels: Parcels
    deposits: Instants
    pickups: Instants


class Lockers:
    """The parcel lockers of one compound."""

    def __init__(self, site: Site) -> None:
        """Number the cells of `site`'s lockers."""
        self._site = site
        self._cells = cells_of(site)
        most = self._cells.max(axis=0).tolist()
        self._labels = tuple(
            f"{size[0]}{n + 1:02d}" for size, count in zip(SIZES, most, strict=True) for n in range(count)
        )
        self._first_label = np.cumsum([0, *most[:-1]])
        self._quarters = Kept(self._quarter)

    def day(self, day: Day) -> Sequence[Batch]:
        """Cells occupied, and what happened at their doors, on one day."""
        quarter = self._quarters[self._site.day(quarter_of(day.date))]
        return [self._telemetry(day, quarter), *self._events(day, quarter.parcels)]

    def _telemetry(self, day: Day, quarter: _Quarter) -> Batch:
        site = self._site
        samples = site.samples(day)
        series = samples.series.astype(np.int64)
        rng = site.rng("cabinet", day.date)
        inside = ambient_c(day, samples.ms) * 0.85 + 5.5 + 0.3 * rng.normal(size=len(series))
        return site.telemetry(samples, {
            "total": self._cells[samples.device, samples.part],
            "occupied": quarter.deposits.count(series, samples.ms) - quarter.pickups.count(series, samples.ms),
            "faulty": quarter.parcels.faulty[samples.device, samples.part],
            "temp_c": np.round(inside, 1),
        })  # fmt: skip

    def _events(self, day: Day, made: Parcels) -> list[Batch]:
        put_in = made.cell != REFUSED
        overdue_ms = made.in_ms + round(OVERDUE_H * HOUR_MS)
        left_open = self._site.rng("left open", quarter_of(day.date)).random(len(put_in)) < _LEFT_OPEN_SHARE
        return [
            self._at("deposit", day, made, made.in_ms, put_in),
            self._at("pickup", day, made, made.out_ms, put_in),
            self._at("expire", day, made, overdue_ms, put_in & (overdue_ms < made.out_ms)),
            self._at("refused_full", day, made, made.in_ms, ~put_in),
            self._at("door_left_open", day, made, made.out_ms + _LEFT_OPEN_AFTER_MS, put_in & left_open),
        ]

    def _at(self, table: str, day: Day, made: Parcels, ms: Times, which: NDArray[np.bool_]) -> Batch:
        rows = np.flatnonzero(which & day.covers(ms))
        size = made.size[rows]
        columns = {}
        if table != "refused_full":
            columns["cell"] = Coded((self._first_label[size] + made.cell[rows]).astype(np.int32), self._labels)
        return self._site.batch(table, made.locker[rows], ms[rows], size, columns).sorted()

    def _quarter(self, first: Day) -> _Quarter:
        made = parcels(self._site, first.date)
        put_in = made.cell != REFUSED
        series = made.locker[put_in] * len(SIZES) + made.size[put_in]
        return _Quarter(made, Instants(series, made.in_ms[put_in]), Instants(series, made.out_ms[put_in]))


BEHAVIOUR = Behaviour(kind="locker", model=Lockers)
