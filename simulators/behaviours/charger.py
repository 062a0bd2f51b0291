"""Charging piles: cars plug in in the evening, charge along a tapering curve and stay plugged in after.

Sessions are drawn a year at a time (`simulators.sessions`), so that the register, the sum of all energy since the piles
were installed, is known on any day without living through the days before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from devices.columns import Batch
from simulators.behaviour import Behaviour
from simulators.sessions import DAYTIME, EVENING, Ledger, Sessions
from simulators.site import Day, Samples, Site, Values, joined
from simulators.weather import ambient_c

_AVAILABLE, _PREPARING, _CHARGING, _SUSPENDED_EVSE, _SUSPENDED_EV, _FINISHING = range(6)
_FAULTED = 8
_NO_ERROR = 0
_BEGIN, _END = 0, 1
_WARMTH_C = 17.0  # a pile at full load, above the air


class Chargers:
    """The charging piles of one compound."""

    def __init__(self, site: Site) -> None:
        """Take the piles of `site`."""
        self._site = site
        self._ledger = Ledger(site)

    def day(self, day: Day) -> Sequence[Batch]:
        """The state of all connectors, and the sessions begun and ended on one day."""
        before = self._site.days_until(day, 1)[0]
        relevant = [
            self._ledger.sessions(before, EVENING),
            self._ledger.sessions(day, DAYTIME),
            self._ledger.sessions(day, EVENING),
        ]
        register = self._ledger.register_before(before) + self._ledger.sessions(before, DAYTIME).energy_wh
        return self._telemetry(day, relevant, register), self._events(day, relevant)

    def _telemetry(self, day: Day, relevant: Sequence[Sessions], register: NDArray[np.int64]) -> Batch:
        site = self._site
        samples = site.samples(day)
        connector, ms = site.first_part[samples.device] + samples.part, samples.ms
        count = len(ms)
        energy = register[connector].astype(np.float64)
        power = np.zeros(count)
        soc = np.full(count, np.nan)
        status = np.full(count, _AVAILABLE)
        error = np.full(count, _NO_ERROR)
        for each in relevant:
            rows = each.at(connector)
            delivered = rows.delivered_wh(ms)
            energy += np.floor(delivered)
            charging = rows.used & (ms >= rows.charge_ms) & (ms < rows.stop_ms)
            power[charging] = rows.power_w(ms)[charging]
            plugged = rows.used & (ms >= rows.plug_ms) & (ms < rows.unplug_ms)
            soc[plugged] = rows.soc(delivered)[plugged]
            status[plugged] = _status(rows, ms)[plugged]
            faulted = rows.used & (ms >= rows.unplug_ms) & (ms < rows.fault_until_ms)
            status[faulted] = _FAULTED
            error[faulted] = rows.error[faulted]
        return site.telemetry(samples, self._electrical(day, samples, power, status) | {
            "status": status, "error": error, "energy_wh": energy, "soc": np.round(np.minimum(soc, 1.0), 3),
        })  # fmt: skip

    def _electrical(
        self, day: Day, samples: Samples, power: NDArray[np.float64], status: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float64]]:
        rng = self._site.rng("electrical", day.date)
        volts = np.round(226 + 1.6 * rng.normal(size=len(power)) - power / 2500, 1)
        watts = np.round(power)
        warm = _WARMTH_C * watts / 7000 + np.where(status == _AVAILABLE, 0.0, 1.5)
        temp = ambient_c(day, samples.ms) + warm + 0.3 * rng.normal(size=len(power))
        amps = np.round(watts / volts, 2)
        return {"power_w": watts, "voltage_v": volts, "current_a": amps, "temp_c": np.round(temp, 1)}

    def _events(self, day: Day, relevant: Sequence[Sessions]) -> Batch:
        site = self._site
        owner = np.repeat(np.arange(len(site.devices)), np.diff(site.first_part))
        batches = []
        for each in relevant:
            connector = np.flatnonzero(each.used)
            device = owner[connector]
            part = connector - site.first_part[device]
            ids = [
                f"{site.devices[d].id}-{site.devices[d].parts[p]}-{each.date:%y%m%d}{each.slot}"
                for d, p in zip(device.tolist(), part.tolist(), strict=True)
            ]
            for phase, ms, energy in (
                (_BEGIN, each.begin_ms, np.full(len(each.used), np.nan)),
                (_END, each.finish_ms, each.energy_wh),
            ):
                columns: dict[str, Values] = {
                    "phase": np.full(len(ids), phase),
                    "id": ids,
                    "energy_wh": energy[connector],
                }
                batches.append(site.batch("session", device, ms[connector], part, columns))
        return joined(batches, day)


def _status(rows: Sessions, ms: NDArray[np.int64]) -> NDArray[np.int64]:
    steps = (
        (rows.begin_ms, _SUSPENDED_EVSE),
        (rows.charge_ms, _CHARGING),
        (rows.stop_ms, _SUSPENDED_EV),
        (rows.finish_ms, _FINISHING),
    )
    status = np.full(len(ms), _PREPARING)
    for begin, state in steps:
        status[ms >= begin] = state
    return status


BEHAVIOUR = Behaviour(kind="charger", model=Chargers)
