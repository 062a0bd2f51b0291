"""Cameras: mostly live, at times frozen or down, with a few incidents that their analytics report."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.columns import NS_PER_MS, Batch, Coded, Column, Floats, Times
from simulators.behaviour import Behaviour
from simulators.cache import Kept
from simulators.site import HOUR_MS, Day, Samples, Site, Values, joined
from simulators.timeline import Intervals

_LIVE, _FROZEN, _DOWN = range(3)
_BEGIN, _END = 0, 1

# Incidents by type, in declared order: how many a camera and day, hour (mean, deviation), minutes (median, spread).
_INCIDENTS = np.array([
    (0.15, 18.5, 3.5, 55.0, 0.8),
    (0.03, 1.5, 2.0, 3.0, 0.6),
    (0.20, 13.0, 4.5, 2.0, 0.5),
    (0.06, 18.8, 1.2, 25.0, 0.5),
    (0.08, 19.5, 2.5, 1.5, 0.4),
])  # fmt: skip
_MOST_MINUTES = 720.0
_MOST_OUTAGE = 1200.0  # less than a day: looking back one day finds all
# People in view at each hour of the day, for a view of average traffic.
_PEOPLE = np.array([
    0.05, 0.03, 0.02, 0.02, 0.03, 0.2, 0.9, 2.2, 2.6, 1.9, 1.7, 1.6, 1.5, 1.1, 1.2, 1.6, 2.1, 2.8, 3.2, 2.9, 2.0, 1.1,
    0.5, 0.15,
])  # fmt: skip


class _Plan(NamedTuple):
    frozen: Intervals
    down: Intervals
    disk: Intervals
    incidents: Batch


class Cameras:
    """The cameras of one compound."""

    def __init__(self, site: Site) -> None:
        """Draw what each camera looks at."""
        self._site = site
        rng = site.rng("views")
        cameras = len(site.devices)
        self._traffic = rng.lognormal(0, 0.6, cameras)
        self._fps = rng.choice([15.0, 20.0, 25.0], cameras, p=[0.2, 0.3, 0.5])
        self._kbps = rng.uniform(1800, 4200, cameras)
        self._plans = Kept(self._plan)

    def day(self, day: Day) -> Sequence[Batch]:
        """The health and the incidents of one day."""
        plans = [self._plans[each] for each in self._site.days_until(day, 1)]
        return self._health(day, plans), joined([plan.incidents for plan in plans], day)

    def _health(self, day: Day, plans: Sequence[_Plan]) -> Batch:
        site = self._site
        samples = site.samples(day)
        series, ms = samples.series, samples.ms
        rng = site.rng("health", day.date)
        frozen = Intervals.joined([plan.frozen for plan in plans]).since(series, ms)
        down = Intervals.joined([plan.down for plan in plans]).since(series, ms)
        disk = Intervals.joined([plan.disk for plan in plans]).cover(series, ms)
        stream = np.where(down >= 0, _DOWN, np.where(frozen >= 0, _FROZEN, _LIVE))
        live = stream == _LIVE
        since = np.where((down >= 0) & (frozen >= 0), np.minimum(down, frozen), np.maximum(down, frozen))
        age = np.where(live, rng.uniform(0.03, 0.2, len(ms)), (ms - since) / 1000)
        return site.telemetry(samples, {
            "stream": stream,
            "fps": np.where(live, np.round(self._fps[samples.device] + rng.normal(0, 0.15, len(ms)), 1), 0.0),
            "bitrate_kbps": np.where(stream == _DOWN, 0.0, self._bitrate(day, samples, rng, live=live)),
            "recording": (stream != _DOWN) & ~disk,
            "frame_age_s": np.round(age, 2),
            "storage_used": self._storage(samples),
            "people": np.where(live, self._people(day, samples, rng), np.nan),
        })  # fmt: skip

    def _bitrate(
        self, day: Day, samples: Samples, rng: np.random.Generator, *, live: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        # By night the picture is grey and still, and a frozen one costs next to nothing.
        light = np.clip(np.cos(2 * np.pi * ((samples.ms - day.start_ms) / HOUR_MS - 13) / 24) * 3, -1, 1)
        level = self._kbps[samples.device] * (0.78 + 0.22 * light) * np.exp(0.08 * rng.normal(size=len(light)))
        kbps: Floats = np.round(np.where(live, level, 0.06 * level))
        return kbps

    def _people(self, day: Day, samples: Samples, rng: np.random.Generator) -> NDArray[np.int64]:
        hours = (samples.ms - day.start_ms) / HOUR_MS
        usual = np.interp(hours, np.arange(25), np.append(_PEOPLE, _PEOPLE[0]))
        people: NDArray[np.int64] = rng.poisson(usual * self._traffic[samples.device])
        return people

    def _storage(self, samples: Samples) -> NDArray[np.float64]:
        """A recorder that is full deletes its oldest days in one go, and fills again."""
        rng = self._site.rng("storage")
        cameras = len(self._site.devices)
        period = rng.uniform(0.8, 1.6, cameras) * 86_400_000
        phase = (samples.ms - rng.uniform(0, period)[samples.device]) % period[samples.device] / period[samples.device]
        return np.round(rng.uniform(0.82, 0.88, cameras)[samples.device] + 0.08 * phase, 4)

    def _plan(self, day: Day) -> _Plan:
        rng = self._site.rng("outages", day.date)
        cameras = len(self._site.devices)
        span = day.at([0, 24])
        frozen = Intervals.drawn(rng, cameras, rate=0.02, between=span, minutes=12, most_minutes=_MOST_OUTAGE)
        down = Intervals.drawn(
            rng, cameras, rate=0.012, between=span, minutes=25, spread=1.0, most_minutes=_MOST_OUTAGE
        )
        disk = Intervals.drawn(rng, cameras, rate=0.005, between=span, minutes=60, most_minutes=_MOST_OUTAGE)
        return _Plan(frozen, down, disk, self._incidents(day, Intervals.joined([frozen, down])))

    def _incidents(self, day: Day, blind: Intervals) -> Batch:
        site = self._site
        rng = site.rng("incidents", day.date)
        rates, hours, deviations, minutes, spreads = _INCIDENTS.T
        counts = rng.poisson(rates * len(site.devices))
        kind = np.repeat(np.arange(len(rates)), counts)
        camera = rng.integers(0, len(site.devices), len(kind))
        begin = day.at(rng.normal(hours[kind], deviations[kind]) % 24)
        order = np.lexsort((begin, camera))
        kind, camera, begin = kind[order], camera[order], begin[order]
        seen = ~blind.cover(camera, begin)
        kind, camera, begin = kind[seen], camera[seen], begin[seen]
        length = np.minimum(minutes[kind] * np.exp(spreads[kind] * rng.normal(size=len(kind))), _MOST_MINUTES)
        end = begin + np.maximum(length * 60_000, 2000).astype(np.int64)
        ids = [f"{site.devices[c].id}-{day.date:%y%m%d}-{n}" for n, c in enumerate(camera.tolist())]
        columns: dict[str, Values] = {
            "type": np.tile(kind, 2),
            "phase": np.repeat([_BEGIN, _END], len(kind)),
            "id": ids * 2,
        }
        return site.batch("analytic", np.tile(camera, 2), np.concatenate([begin, end]), None, columns)


def _freeze(batch: Batch, since_ms: Times) -> Mapping[str, Column]:
    """Frozen pictures, each as old as it has been frozen; a stream that is down stays down."""
    stream, age = batch.coded("stream"), batch.floats("frame_age_s")
    frozen = (since_ms >= 0) & (stream.codes == _LIVE)
    old = np.maximum((batch.time // NS_PER_MS - since_ms) / 1000, 0.0)
    return {
        "stream": Coded(np.where(frozen, _FROZEN, stream.codes).astype(np.int32), stream.labels),
        "frame_age_s": np.where(frozen, old, age),
    }


BEHAVIOUR = Behaviour(kind="camera", model=Cameras, freeze=_freeze)
