"""Charging sessions of a compound's connectors: when a car comes and goes, and the curve it charges along.

Each connector has two slots a day, which cannot overlap: in the daytime (11:00 to 16:55), and in the evening (17:00 to
09:45 of the next day). A year of slots is drawn at once, which is cheap, and makes the register of any day a sum of
known numbers.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.columns import Times
from simulators.cache import Kept
from simulators.site import HOUR_MS, Day, Site

DAYTIME, EVENING = "d", "e"
_SLOTS = (DAYTIME, EVENING)
INSTALLED = dt.date(2022, 1, 1)
"""Registers began at zero on this day, and no simulation may begin before it."""

_EFFICIENCY = 0.9
_TAPER_SOC = 0.8
_CUTOFF = 0.1  # a car stops charging when its power has fallen to this share
_BATTERIES_WH = np.array([38_000.0, 50_000.0, 57_000.0, 66_000.0, 82_000.0])
_CAR_LIMITS_W = np.array([3300.0, 6600.0, 7000.0, 11_000.0])
_CAR_SHARES = (0.08, 0.30, 0.42, 0.20)
_FAULT_SHARE = 0.004
_CHEAP_FROM_H = 22.0
# ConnectorLockFailure, EVCommunicationError, GroundFailure, OverCurrentFailure, OverVoltage, PowerSwitchFailure
_FAULTS = np.array([1, 2, 3, 8, 9, 11])
_FAULT_SHARES = (0.2, 0.4, 0.1, 0.1, 0.1, 0.1)


@dataclass(frozen=True, slots=True)
class Sessions:
    """One slot of one date, or any selection of them; all arrays have the same length n.

    Attributes:
        date: the date on which the slot begins.
        slot: DAYTIME or EVENING.
        used: bool[n], whether there is a session at all; the rest is meaningless where not.
        plug_ms: when the car is plugged in. This and the times below are ms since the epoch, in this order.
        begin_ms: when the session begins.
        charge_ms: when energy begins to flow.
        stop_ms: when it ends: the battery is full, the driver comes, or the connector fails.
        finish_ms: when the session ends.
        unplug_ms: when the car is unplugged.
        fault_until_ms: when a failed connector is repaired; `unplug_ms` where it did not fail.
        error: int[n], code of the failure.
        start_soc: state of charge at the beginning.
        full_w: power before the taper.
        flat_s: seconds of full power before the taper.
        tau_s: time constant of the taper in seconds.
        battery_wh: capacity of the battery.
        energy_wh: int64[n], energy of the whole session, whole watt hours.
    """

    date: dt.date
    slot: str
    used: NDArray[np.bool_]
    plug_ms: Times
    begin_ms: Times
    charge_ms: Times
    stop_ms: Times
    finish_ms: Times
    unplug_ms: Times
    fault_until_ms: Times
    error: NDArray[np.int64]
    start_soc: NDArray[np.float64]
    full_w: NDArray[np.float64]
    flat_s: NDArray[np.float64]
    tau_s: NDArray[np.float64]
    battery_wh: NDArray[np.float64]
    energy_wh: NDArray[np.int64]

    def at(self, rows: NDArray[np.integer] | tuple[int, int]) -> "Sessions":
        """The selection `rows` of every array."""
        arrays = [getattr(self, name)[rows] for name in _ARRAYS]
        return Sessions(self.date, self.slot, *arrays)

    def delivered_wh(self, ms: Times) -> NDArray[np.float64]:
        """Energy delivered until `ms`, the integral of the power; 0 where there is no session; float64[n]."""
        seconds = np.clip(ms - self.charge_ms, 0, self.stop_ms - self.charge_ms) / 1000
        made = _curve_wh(seconds, self.full_w, self.flat_s, self.tau_s)
        return np.where(self.used, np.where(ms >= self.stop_ms, self.energy_wh, made), 0.0)

    def power_w(self, ms: Times) -> NDArray[np.float64]:
        """Power at `ms`, given that the car is charging; float64[n]."""
        late = np.maximum((ms - self.charge_ms) / 1000 - self.flat_s, 0)
        watts: NDArray[np.float64] = self.full_w * np.exp(-late / self.tau_s)
        return watts

    def soc(self, delivered_wh: NDArray[np.float64]) -> NDArray[np.float64]:
        """State of charge after `delivered_wh`; float64[n]."""
        return self.start_soc + delivered_wh * _EFFICIENCY / self.battery_wh


_ARRAYS = tuple(Sessions.__dataclass_fields__)[2:]


class Ledger:
    """All sessions of a site's connectors, and what they add up to."""

    def __init__(self, site: Site) -> None:
        """Draw nothing yet."""
        self._site = site
        self._years = Kept(self._year, most=4)
        self._totals: dict[int, NDArray[np.int64]] = {}

    def sessions(self, day: Day, slot: str) -> Sessions:
        """The sessions of one slot, one for each connector."""
        year, _ = self._years[day.date.year]
        index = (day.date - dt.date(day.date.year, 1, 1)).days
        chosen = year.at((index, _SLOTS.index(slot)))
        return Sessions(day.date, slot, *(getattr(chosen, name) for name in _ARRAYS))

    def register_before(self, day: Day) -> NDArray[np.int64]:
        """Energy of all sessions of the dates before `day`, by connector, in Wh; int64[connectors]."""
        _, energy = self._years[day.date.year]
        index = (day.date - dt.date(day.date.year, 1, 1)).days
        earlier: NDArray[np.int64] = energy[:index].sum(axis=0)
        return self._before_year(day.date.year) + earlier

    def _before_year(self, year: int) -> NDArray[np.int64]:
        connectors = int(self._site.first_part[-1])
        if year <= INSTALLED.year:
            return np.zeros(connectors, np.int64)
        if year not in self._totals:
            _, energy = self._years[year - 1]
            self._totals[year] = self._before_year(year - 1) + energy.sum(axis=0)
        return self._totals[year]

    def _year(self, year: int) -> tuple[Sessions, NDArray[np.int64]]:
        """All slots of a year, arrays of [days, slots, connectors], and their energy by [days, connectors]."""
        site = self._site
        first = dt.date(year, 1, 1)
        days = [site.day(first + dt.timedelta(days=n)) for n in range((dt.date(year + 1, 1, 1) - first).days)]
        made = _drawn(site, first, days)
        return made, made.energy_wh.sum(axis=1)


def _drawn(site: Site, first: dt.date, days: list[Day]) -> Sessions:
    rng = site.rng("sessions", first)
    connectors = int(site.first_part[-1])
    shape = (len(days), len(_SLOTS), connectors)
    evening = np.arange(len(_SLOTS))[:, None] == _SLOTS.index(EVENING)
    weekend = np.array([day.is_weekend for day in days])[:, None, None]
    popular = site.rng("popularity").uniform(0.6, 1.0, connectors)
    share = np.where(evening, 0.86, np.where(weekend, 0.45, 0.25)) * popular
    used = rng.random(shape) < share
    plug = np.where(evening, np.clip(rng.normal(19.2, 1.4, shape), 17, 23.4), rng.uniform(11, 14, shape))
    begin = plug + rng.uniform(20, 90, shape) / 3600
    # Some cars wait for the cheap hours: the pile holds them (SuspendedEVSE).
    waits = evening & (rng.random(shape) < 0.12) & (begin < _CHEAP_FROM_H)
    charge = np.where(waits, _CHEAP_FROM_H + rng.uniform(0, 60, shape) / 3600, begin)
    soc = rng.uniform(0.12, 0.66, shape)
    battery = rng.choice(_BATTERIES_WH, shape)
    rated = np.repeat(site.attribute("power_kw", 7.0), np.diff(site.first_part)) * 1000
    full = np.minimum(rng.choice(_CAR_LIMITS_W, shape, p=_CAR_SHARES), rated)
    flat = (_TAPER_SOC - soc) * battery / _EFFICIENCY / full * 3600
    tau = (1 - _TAPER_SOC) * battery / _EFFICIENCY / ((1 - _CUTOFF) * full) * 3600
    done = charge + (flat - tau * np.log(_CUTOFF)) / 3600
    unplug = _leaving(rng, shape, evening, plug, done)
    finish = unplug - rng.uniform(25, 110, shape) / 3600
    stop = np.minimum(done, finish)
    fails_at = charge + rng.uniform(0.1, 2, shape)
    fails = (rng.random(shape) < _FAULT_SHARE) & (fails_at < stop)
    stop, finish, unplug = (np.where(fails, fails_at, each) for each in (stop, finish, unplug))
    repaired = np.minimum(fails_at + rng.uniform(1, 8, shape), np.where(evening, 24 + 9.7, 16.9))
    midnights = np.array([day.start_ms for day in days])[:, None, None]
    hours = (plug, begin, charge, stop, finish, unplug, np.where(fails, np.maximum(repaired, unplug), unplug))
    plug_ms, begin_ms, charge_ms, stop_ms, finish_ms, unplug_ms, fault_until_ms = (
        midnights + np.rint(each * HOUR_MS).astype(np.int64) for each in hours
    )
    whole = _curve_wh((stop_ms - charge_ms) / 1000, full, flat, tau)
    return Sessions(
        date=first,
        slot="",
        used=used,
        plug_ms=plug_ms,
        begin_ms=begin_ms,
        charge_ms=charge_ms,
        stop_ms=stop_ms,
        finish_ms=finish_ms,
        unplug_ms=unplug_ms,
        fault_until_ms=fault_until_ms,
        error=rng.choice(_FAULTS, shape, p=_FAULT_SHARES),
        start_soc=soc,
        full_w=full,
        flat_s=flat,
        tau_s=tau,
        battery_wh=battery,
        energy_wh=np.where(used, np.floor(whole), 0).astype(np.int64),
    )


def _leaving(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    evening: NDArray[np.bool_],
    plug: NDArray[np.float64],
    done: NDArray[np.float64],
) -> NDArray[np.float64]:
    """When the cars are unplugged, in hours: the morning after, and some of them soon after they are full."""
    morning = 24 + np.clip(rng.normal(7.6, 0.6, shape), 6, 9.4)
    moved = np.maximum(done, plug + 0.5) + rng.exponential(0.6, shape) + 0.05
    prompt = rng.random(shape) < 0.15
    night = np.where(prompt, np.minimum(moved, morning), morning)
    daytime = np.minimum(plug + np.clip(2.2 * np.exp(0.5 * rng.normal(size=shape)), 0.5, 6), 16.6)
    return np.where(evening, night, daytime)


def _curve_wh(
    seconds: NDArray[np.float64], full_w: NDArray[np.float64], flat_s: NDArray[np.float64], tau_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    flat = np.minimum(seconds, flat_s)
    late = np.maximum(seconds - flat_s, 0)
    return full_w / 3600 * (flat + tau_s * -np.expm1(-late / tau_s))
