"""Devices that are away, and compounds that are cut off.

A device is away while its last status says offline, and from where its telemetry ceased to hold unless its last status
says that it is in maintenance, or it is catching up: it delivers what it could not send before. Of one that was never
heard nothing is known. Where nearly all known devices of a
compound are away, the compound is: one alarm for it stands for all of theirs.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from alarms.rules import Rules
from alarms.standing import Change, Standing, Subject, What
from alarms.windows import Windows
from devices.alarms import OFFLINE, UPLINK
from devices.columns import Batch
from devices.inventory import Compound, Device, Inventory
from devices.kind import STATUS, TELEMETRY, Kind

CUT_OFF, BACK = 0.8, 0.5
"""A compound is cut off when this share of its known devices is away, and back when no more than that is."""

LEAST = 3
"""So many devices a compound must have had to be cut off."""


class Silence:
    """Keeps who is away."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        inventory: Inventory,
        standings: Mapping[Subject, Standing],
        rules: Rules | None = None,
        windows: Windows | None = None,
    ) -> None:
        """Go on from where it stood; `feed` it the last rows of every device first.

        Args:
            kinds: the kinds.
            inventory: which compounds and devices there are.
            standings: what was kept.
            rules: the rules in force; as declared where None.
            windows: when to be quiet; never where None.
        """
        self._rules = Rules(kinds) if rules is None else rules
        self._windows = Windows() if windows is None else windows
        self._kinds = kinds
        self._inventory = inventory
        self._said: dict[str, tuple[int, str]] = {}
        self._heard: dict[str, int] = {}
        self._delivering: set[str] = set()
        self._delivered: dict[str, int] = {}
        self.standings = {
            subject: each for subject, each in standings.items() if subject.rule in {OFFLINE.name, UPLINK.name}
        }

    def feed(self, batches: Iterable[Batch], *, delivered: bool = True) -> None:
        """Take rows of any kind, in any order.

        Args:
            batches: the rows.
            delivered: whether they have come just now, rather than some time ago.
        """
        for batch in batches:
            if batch.table.name == STATUS:
                self._hear_status(batch)
            elif batch.table.name == TELEMETRY:
                last = np.full(len(batch.keys), -1, np.int64)
                np.maximum.at(last, batch.series, batch.time)
                for key, time in zip(batch.keys, last.tolist(), strict=True):
                    if delivered and time > self._heard.get(key.device, -1):
                        self._delivering.add(key.device)
                    self._heard[key.device] = max(time, self._heard.get(key.device, -1))

    def tick(self, now_ns: int) -> list[Change]:
        """What is due by now."""
        found: list[Change] = []
        for compound in self._inventory.compounds.values():
            away = {each.id: self._away_since(each, now_ns) for each in compound.devices}
            found += self._compound(compound, away, now_ns)
        self._delivering.clear()
        return found

    def _hear_status(self, batch: Batch) -> None:
        states = batch.coded("state").decoded()
        for series, time, state in zip(batch.series.tolist(), batch.time.tolist(), states, strict=True):
            device = batch.keys[series].device
            if state is not None and time >= self._said.get(device, (-1, ""))[0]:
                self._said[device] = (time, state)

    def _away_since(self, device: Device, now_ns: int) -> int | None:
        """Since when it is away; None while it is not, or nobody knows."""
        said_ns, state = self._said.get(device.id, (-1, ""))
        if state == "offline":
            return said_ns
        heard_ns, hold_ns = self._heard.get(device.id, -1), self._kinds[device.kind].max_hold_ns
        silent_ns = heard_ns + hold_ns
        if heard_ns < 0 or silent_ns > now_ns or state == "maintenance":
            return None
        if device.id in self._delivering:
            self._delivered[device.id] = now_ns
        return silent_ns if now_ns - self._delivered.get(device.id, -hold_ns) >= hold_ns else None

    def _compound(self, compound: Compound, away: Mapping[str, int | None], now_ns: int) -> Iterator[Change]:
        subject = Subject("", UPLINK.name, compound.id)
        standing = self.standings.setdefault(subject, Standing())
        known = [name for name in away if name in self._said or name in self._heard]
        gone = [since for since in map(away.get, known) if since is not None]
        share = len(gone) / len(known) if len(known) >= LEAST else 0.0
        if share >= CUT_OFF or (share <= BACK and standing.holds):
            # Since the device with which it became so many.
            at_ns = sorted(gone)[round(np.ceil(CUT_OFF * len(known))) - 1] if share >= CUT_OFF else now_ns
            standing.turn(holds=share >= CUT_OFF, at_ns=at_ns, value=f"{len(gone)}/{len(known)}")
        rule = self._rules.of("", UPLINK.name, compound.id, "")
        quiet = self._windows.cover(subject, now_ns)
        settled = list(
            standing.drop(subject, now_ns) if rule is None else standing.settle(rule, subject, now_ns, quiet=quiet)
        )
        standing.seen_ns = now_ns
        yield from settled
        back_ns = max((each.at_ns for each in settled if each.what is What.CLEARED), default=0)
        for device in compound.devices:
            yield from self._device(device, away[device.id], now_ns, whole=standing, back_ns=back_ns)

    def _device(
        self, device: Device, since_ns: int | None, now_ns: int, *, whole: Standing, back_ns: int
    ) -> Iterator[Change]:
        """One device; while its whole compound is cut off no alarm of its own is raised, and an open one is cleared."""
        subject = Subject(device.kind, OFFLINE.name, device.compound, device.id)
        standing = self.standings.setdefault(subject, Standing())
        if since_ns is None:
            standing.turn(holds=False, at_ns=now_ns, value="")
        elif not standing.holds:
            state = self._said.get(device.id, (-1, ""))[1]
            standing.turn(holds=True, at_ns=max(since_ns, standing.turned_ns), value=state or "silent")
        standing.seen_ns = now_ns
        if whole.raised or whole.holds:
            if standing.raised and whole.raised:
                standing.raised = False
                yield Change(What.CLEARED, subject, now_ns, standing.since_ns, UPLINK.name)
            return
        if standing.holds and back_ns:
            standing.turned_ns = max(standing.turned_ns, back_ns)
        rule = self._rules.of(device.kind, OFFLINE.name, device.compound, device.id)
        if rule is None:
            yield from standing.drop(subject, now_ns)
        else:
            yield from standing.settle(rule, subject, now_ns, quiet=self._windows.cover(subject, now_ns))
