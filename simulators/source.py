"""The readings of any span of simulated time: whole local days of every model, cut to the span."""

import datetime as dt
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from devices.columns import NS_PER_MS, Batch
from devices.inventory import Inventory
from devices.kind import Kind
from simulators.behaviour import Behaviour, Model
from simulators.cache import Kept
from simulators.site import Site, date_at, day_of


class Source:
    """What the devices of an inventory report."""

    def __init__(
        self, inventory: Inventory, kinds: Mapping[str, Kind], behaviours: Mapping[str, Behaviour], seed: int
    ) -> None:
        """Make a model of every compound and kind; nothing is drawn before the first span.

        Args:
            inventory: whose devices report; a selection of them, where only these are to.
            kinds: the kinds.
            behaviours: their behaviours.
            seed: the fleet's seed; the same seed gives the same readings.
        """
        self._models: dict[tuple[str, ZoneInfo], list[Model]] = {}
        for compound in inventory.compounds.values():
            for name, kind in kinds.items():
                if devices := compound.of_kind(name):
                    model = behaviours[name].model(Site(compound, kind, devices, seed))
                    self._models.setdefault((name, compound.timezone), []).append(model)
        # Two days: a span, or the next one, may reach over midnight.
        self._days = Kept(self._day, most=2 * max(len(self._models), 1))

    def span(self, start_ms: int, stop_ms: int) -> list[Batch]:
        """All telemetry and events of a span, without `seq` in their times.

        Args:
            start_ms: where the span begins, ms since the epoch.
            stop_ms: where it ends; the end itself is not part of it.

        Returns:
            Batches, none empty, in no particular order. However a span is cut into spans, the rows are the same.
        """
        found = []
        for kind, timezone in self._models:
            for date in _dates(start_ms, stop_ms, timezone):
                day = day_of(date, timezone)
                for batch in self._days[kind, timezone, date]:
                    part = batch
                    if start_ms > day.start_ms or stop_ms < day.stop_ms:
                        inside = (batch.time >= start_ms * NS_PER_MS) & (batch.time < stop_ms * NS_PER_MS)
                        part = batch.take(inside)
                    if len(part):
                        found.append(part)
        return found

    def _day(self, key: tuple[str, ZoneInfo, dt.date]) -> list[Batch]:
        """The readings of all models of one kind on one day, one batch for each table."""
        kind, timezone, date = key
        tables: dict[str, list[Batch]] = {}
        for model in self._models[kind, timezone]:
            for batch in model.day(day_of(date, timezone)):
                tables.setdefault(batch.table.name, []).append(batch)
        return [Batch.concatenated(batches) for batches in tables.values()]


def _dates(start_ms: int, stop_ms: int, timezone: ZoneInfo) -> Iterator[dt.date]:
    date = date_at(start_ms, timezone)
    while day_of(date, timezone).start_ms < stop_ms:
        yield date
        date += dt.timedelta(days=1)
