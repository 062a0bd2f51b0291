"""Where the messages of a topic go: parsed once per topic, then looked up.

Only topics of the inventory's devices become routes, so their number is bounded by the inventory however many topics
arrive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devices.columns import SeriesKey
from devices.errors import ReadingError, Reason
from devices.inventory import Device, Inventory
from devices.kind import Channel, Kind, Table
from devices.payloads import Row, Schemas
from devices.topics import Topic
from ingest.ledger import UNKNOWN_KIND


class Series:
    """All series of one table that were seen, each with a number of its own.

    Attributes:
        table: the table.
        keys: the series by their number.
    """

    def __init__(self, table: Table) -> None:
        """Begin without any."""
        self.table = table
        self.keys: list[SeriesKey] = []

    def add(self, key: SeriesKey) -> int:
        """Give a new series its number."""
        self.keys.append(key)
        return len(self.keys) - 1


@dataclass(frozen=True, slots=True)
class Target:
    """One table that a route leads to.

    Attributes:
        series: the table and its series.
        part: the key in payloads that names the part, or None.
        numbers: the series' number by part as payloads write it; by None where there is no part.
    """

    series: Series
    part: str | None
    numbers: Mapping[object, int]


@dataclass(frozen=True, slots=True)
class Route:
    """One device's channel.

    Attributes:
        topic: the topic.
        validate: reads a payload of it.
        only: the target of telemetry and status; None for events.
        events: the targets of events, by the event's name.
    """

    topic: Topic
    validate: Callable[[bytes], list[Row]]
    only: Target | None
    events: Mapping[str, Target]


class Routes(dict[str, Route]):
    """The routes by topic, as text. Looking up a topic that is none of ours raises `ReadingError`."""

    def __init__(self, inventory: Inventory, kinds: Mapping[str, Kind]) -> None:
        """Begin without routes; each is made when its topic is first looked up."""
        super().__init__()
        self._inventory = inventory
        self._kinds = kinds
        self._schemas = Schemas(kinds)
        self._series = {
            (kind.name, table.name): Series(table) for kind in kinds.values() for table in kind.tables.values()
        }

    def __missing__(self, text: str) -> Route:
        """Make the route of a topic.

        Raises:
            ReadingError: the topic has another shape, or names a compound, kind or device that is not there.
        """
        topic = Topic.parse(text)
        device = self._device(topic)
        kind = self._kinds[topic.kind]
        schema = self._schemas.get((topic.kind, topic.channel))
        if schema is None:
            raise ReadingError(Reason.TOPIC, f"kind {topic.kind!r} sends nothing on the channel {topic.channel}")
        tables = [table for table in kind.tables.values() if table.channel is topic.channel]
        targets = {table.name: self._target(table, device) for table in tables}
        only = None if topic.channel is Channel.EVENT else targets[topic.channel]
        route = self[text] = Route(topic, schema.validate, only, targets)
        return route

    def whose(self, text: str) -> tuple[str, str]:
        """The kind and compound that a topic names, as far as they are known: else "unknown" and ""."""
        try:
            topic = Topic.parse(text)
        except ReadingError:
            return UNKNOWN_KIND, ""
        kind = topic.kind if topic.kind in self._kinds else UNKNOWN_KIND
        return kind, topic.compound

    def _device(self, topic: Topic) -> Device:
        if topic.kind not in self._kinds:
            raise ReadingError(Reason.UNKNOWN_KIND, f"no kind is called so; known are {', '.join(self._kinds)}")
        if topic.compound not in self._inventory.compounds:
            raise ReadingError(Reason.UNKNOWN_COMPOUND, "the inventory has no such compound")
        device = self._inventory.devices.get(topic.device)
        if device is None or device.compound != topic.compound or device.kind != topic.kind:
            raise ReadingError(Reason.UNKNOWN_DEVICE, "the inventory has no such device of this kind in this compound")
        return device

    def _target(self, table: Table, device: Device) -> Target:
        series = self._series[table.kind, table.name]
        part = table.part
        if part is None:
            (key,) = device.keys(table)
            return Target(series, None, {None: series.add(key)})
        numbers: dict[object, int] = {
            key.part if part.values else int(key.part): series.add(key) for key in device.keys(table)
        }
        return Target(series, part.name, numbers)
