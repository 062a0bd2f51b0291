"""Where the messages of a topic go: parsed once per topic, then looked up.

Only topics of the inventory's devices get a place, so their number is bounded by the inventory however many topics
arrive.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from devices.columns import Codes, SeriesKey
from devices.errors import ReadingError, Reason
from devices.inventory import Device, Inventory
from devices.keys import KeyBook
from devices.kind import Channel, Kind, Table
from devices.payloads import Row, Schemas
from devices.topics import Topic
from ingest.bulk import BulkReader
from ingest.ledger import UNKNOWN_KIND
from ingest.sightings import Ints, Stream, Streams

UNKNOWN = -1
"""The place of a topic that is none of ours."""

_GROUP_BITS = 32


class Numbers:
    """A list of numbers that grows, and is read as an array."""

    def __init__(self, *numbers: int) -> None:
        """Begin with some."""
        self._list = list(numbers)
        self._array = np.array(numbers, np.int64)

    def append(self, number: int) -> None:
        """Add one."""
        self._list.append(number)

    @property
    def array(self) -> Ints:
        """All of them."""
        if len(self._array) != len(self._list):
            self._array = np.array(self._list, np.int64)
        return self._array

    def __getitem__(self, place: int) -> int:
        """One of them."""
        return self._list[place]


class Series:
    """All series of one table that were seen, each with a number of its own; those of a device follow each other.

    Attributes:
        table: the table.
        keys: the series by their number.
    """

    def __init__(self, table: Table) -> None:
        """Begin without any."""
        self.table = table
        self.keys = KeyBook()
        self._starts = Numbers(0)

    def add(self, keys: Sequence[SeriesKey]) -> None:
        """Give the series of the next device their numbers.

        Args:
            keys: one for each of its parts, in the order of `part_place`.
        """
        self.keys.add(keys)
        self._starts.append(len(self.keys))

    def number(self, device: int, part: int) -> int | None:
        """The number of a part's series, or None where the device has no such part."""
        number = self._starts[device] + part
        return number if part >= 0 and number < self._starts[device + 1] else None

    def numbers(self, devices: Ints, parts: Ints) -> Codes:
        """The same for many; -1 where a device has no such part."""
        starts = self._starts.array
        found = starts[devices] + parts
        return np.where((parts >= 0) & (found < starts[devices + 1]), found, UNKNOWN).astype(np.int32)


class Group:
    """The devices of one kind as senders on one channel.

    Attributes:
        kind: name of the kind.
        channel: the channel.
        validate: reads one payload.
        reader: reads many payloads.
        tables: the series of each table of the channel.
        events: place in `tables` by the event's name; for other channels there is only one table.
        streams: the streams by the devices' places.
    """

    def __init__(self, kind: Kind, channel: Channel, validate: Callable[[bytes], list[Row]]) -> None:
        """Begin without devices."""
        tables = [table for table in kind.tables.values() if table.channel is channel]
        self.kind = kind.name
        self.channel = channel
        self.validate = validate
        self.reader = BulkReader(tables)
        self.tables = tuple(map(Series, tables))
        self.events = {table.name: place for place, table in enumerate(tables)}
        self.streams = Numbers()
        self._devices = 0

    def add(self, device: Device, stream: int) -> int:
        """Give a device its place."""
        for series in self.tables:
            series.add(list(device.keys(series.table)))
        self.streams.append(stream)
        self._devices += 1
        return self._devices - 1

    def table_of(self, row: Row) -> Series:
        """The table of an object."""
        return self.tables[self.events[row["event"]] if self.channel is Channel.EVENT else 0]


class Routes(dict[str, int]):
    """A number for each topic: its group's place in `groups`, and its device's place in the group.

    Looking up a topic that is none of ours raises `ReadingError`.

    Attributes:
        groups: all groups.
    """

    def __init__(self, inventory: Inventory, kinds: Mapping[str, Kind], streams: Streams) -> None:
        """Begin without topics; each gets its number when it is first looked up."""
        super().__init__()
        self._streams = streams
        self._inventory = inventory
        self._kinds = kinds
        schemas = Schemas(kinds)
        self.groups = [
            Group(kinds[kind], Channel(channel), schemas[kind, channel].validate) for kind, channel in schemas
        ]
        self._places = {(group.kind, group.channel): place for place, group in enumerate(self.groups)}

    def __missing__(self, text: str) -> int:
        """Give a topic its number.

        Raises:
            ReadingError: the topic has another shape, or names a compound, kind or device that is not there.
        """
        topic = Topic.parse(text)
        device = self._device(topic)
        place = self._places.get((topic.kind, topic.channel))
        if place is None:
            raise ReadingError(Reason.TOPIC, f"kind {topic.kind!r} sends nothing on the channel {topic.channel}")
        stream = self._streams.number(Stream(topic.kind, topic.compound, topic.device, topic.channel))
        number = self[text] = place << _GROUP_BITS | self.groups[place].add(device, stream)
        return number

    def route(self, text: str) -> tuple[Group, int]:
        """The group of a topic, and its device's place there.

        Raises:
            ReadingError: the topic is none of ours.
        """
        number = self[text]
        return self.groups[number >> _GROUP_BITS], number & (1 << _GROUP_BITS) - 1

    def all(self, topics: Sequence[str]) -> tuple[Ints, Ints]:
        """The places of many topics: of their groups, or `UNKNOWN` for topics not ours, and of their devices."""
        try:
            numbers = np.fromiter(map(self.__getitem__, topics), np.int64, len(topics))
        except ReadingError:
            numbers = np.fromiter(map(self._known, topics), np.int64, len(topics))
        return numbers >> _GROUP_BITS, numbers & (1 << _GROUP_BITS) - 1

    def whose(self, text: str) -> tuple[str, str]:
        """The kind and compound that a topic names, as far as they are known: else "unknown" and ""."""
        try:
            topic = Topic.parse(text)
        except ReadingError:
            return UNKNOWN_KIND, ""
        kind = topic.kind if topic.kind in self._kinds else UNKNOWN_KIND
        return kind, topic.compound

    def _known(self, text: str) -> int:
        try:
            return self[text]
        except ReadingError:
            return UNKNOWN

    def _device(self, topic: Topic) -> Device:
        if topic.kind not in self._kinds:
            raise ReadingError(Reason.UNKNOWN_KIND, f"no kind is called so; known are {', '.join(self._kinds)}")
        if topic.compound not in self._inventory.compounds:
            raise ReadingError(Reason.UNKNOWN_COMPOUND, "the inventory has no such compound")
        device = self._inventory.devices.get(topic.device)
        if device is None or device.compound != topic.compound or device.kind != topic.kind:
            raise ReadingError(Reason.UNKNOWN_DEVICE, "the inventory has no such device of this kind in this compound")
        return device


def part_place(table: Table, row: Row) -> int:
    """The place of an object's part among those of a device; the device may have fewer."""
    part = table.part
    if part is None:
        return 0
    return part.values.index(row[part.name]) if part.values else row[part.name] - 1
