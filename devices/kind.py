"""What a device kind declares: its tables of fields, its parts, its pairs and its statistics.

A kind is data. Decode, line protocol, statistics, API, simulator contract tests and dashboards are driven by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from devices.alarm_checks import check_rules
from devices.alarms import OFFLINE, Match, Rule
from devices.errors import DeclarationError
from devices.fields import Field, Signal, identity, state
from devices.names import Text, is_name
from devices.statistics import Statistic

TELEMETRY = "telemetry"
STATUS = "status"

HOLD_INTERVALS = 3
"""A sample holds for this many nominal report intervals (docs/design.md §4)."""


class Channel(StrEnum):
    """The last level of a topic."""

    TELEMETRY = TELEMETRY
    EVENT = "event"
    STATUS = STATUS


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a device consists of where it reports one series per part: connectors, streams, cell sizes.

    Attributes:
        name: the key in payloads and in answers, for example "connector".
        title: its name for people.
        values: every part that each device of the kind has, or () where the inventory gives each device a number of
            them; these are then named "1", "2", … and are integers in payloads.
    """

    name: str
    title: Text
    values: tuple[str, ...] = ()


FEWEST_TOLD = 5
"""Fewer doings of single persons than so many are not told of a category (k-anonymity's k)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One type of event: its name in the payload's `event` key, and its fields.

    Attributes:
        name: for example "pass".
        title: its name for people.
        fields: categories, values and identities.
        has_part: True where the payload names the part that it happened at.
        about_people: True where each is the doing of one person: such events are told to few, each look is written
            down, and small counts of them by category are withheld.
    """

    name: str
    title: Text
    fields: tuple[Field, ...]
    has_part: bool = False
    about_people: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """An opening and a closing event, matched per device by the value of an identity field.

    Attributes:
        name: for example "dwell".
        title: its name for people.
        key: the identity field, declared by both events.
        opens: the opening event.
        closes: every event that closes it.
    """

    name: str
    title: Text
    key: str
    opens: Match
    closes: tuple[Match, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of one shape: a kind's telemetry, its status, or one of its events.

    Attributes:
        kind: name of the kind.
        name: "telemetry", "status" or the event's name.
        channel: the topic channel that carries it.
        fields: the columns, in declared order.
        part: the part that each row names, or None.
        about_people: whether each row is the doing of one person; see `Event`.
    """

    kind: str
    name: str
    channel: Channel
    fields: tuple[Field, ...]
    part: Part | None = None
    about_people: bool = False

    @property
    def measurement(self) -> str:
        """Its name in a store: unique over all kinds."""
        return f"{self.kind}_{self.name}"

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Its fields by name."""
        return MappingProxyType({each.name: each for each in self.fields})


STATUS_FIELDS = (
    state("state", Text("Connection", "连接状态"), ("offline", "online", "maintenance")),
    identity("firmware", Text("Firmware", "固件版本"), required=False),
)
"""Every kind's status channel: whether the device is connected. It is retained, and it is the MQTT will."""

COMMON = MappingProxyType(
    {
        "online": Text("online", "在线"),
        "offline": Text("offline", "离线"),
        "maintenance": Text("in maintenance", "维护中"),
        "unknown": Text("unknown", "未知"),
        "true": Text("yes", "是"),
        "false": Text("no", "否"),
    }
)
"""What the labels that every kind has are called."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of device.

    Attributes:
        name: the kind's name in topics.
        title: its name for people.
        interval_s: nominal time between two telemetry reports, in seconds.
        telemetry: the sampled fields.
        events: the events.
        part: what a device of this kind consists of, or None.
        pairs: events that belong together.
        statistics: what is served about it.
        alarms: when one needs hands; that it is offline goes without saying.
        words: what its labels and parts are called; those that every kind has need none.
    """

    name: str
    title: Text
    interval_s: float
    telemetry: tuple[Field, ...]
    events: tuple[Event, ...] = ()
    part: Part | None = None
    pairs: tuple[Pair, ...] = ()
    statistics: tuple[Statistic, ...] = ()
    alarms: tuple[Rule, ...] = ()
    words: Mapping[str, Text] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check the declaration as a whole."""
        if not is_name(self.name):
            raise DeclarationError(f"kind name {self.name!r}: use lower case letters, digits and underscores")
        if not self.interval_s > 0:
            raise DeclarationError(f"kind {self.name!r}: interval_s must be positive")
        self._check_tables()
        self._check_pairs()
        self._check_statistics()
        check_rules(self)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Its alarm rules, with the one that every kind has."""
        return (*self.alarms, OFFLINE)

    @property
    def max_hold_ns(self) -> int:
        """How long a sample holds, in nanoseconds."""
        return round(HOLD_INTERVALS * self.interval_s * 1e9)

    def word(self, label: str) -> Text:
        """What a label or a part is called; where nothing says, as it stands."""
        found = self.words.get(label, COMMON.get(label))
        if found is not None:
            return found
        if self.part is not None and label.isdigit():
            return Text(f"{self.part.title.en} {label}", f"{self.part.title.zh} {label}")
        return Text(label, label)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Its tables by name: telemetry, status, then one per event."""
        made = [
            Table(kind=self.name, name=TELEMETRY, channel=Channel.TELEMETRY, fields=self.telemetry, part=self.part),
            Table(kind=self.name, name=STATUS, channel=Channel.STATUS, fields=STATUS_FIELDS),
        ]
        made += [
            Table(
                kind=self.name,
                name=each.name,
                channel=Channel.EVENT,
                fields=each.fields,
                about_people=each.about_people,
                part=self.part if each.has_part else None,
            )
            for each in self.events
        ]
        return MappingProxyType({table.name: table for table in made})

    def _check_tables(self) -> None:
        names = [TELEMETRY, STATUS, *(each.name for each in self.events)]
        if len(set(names)) != len(names) or not all(map(is_name, names)):
            raise DeclarationError(f"kind {self.name!r}: event names must be names, each once, none a channel's")
        sampled = {Signal.GAUGE, Signal.STATE, Signal.COUNTER}
        if not self.telemetry or any(each.signal not in sampled for each in self.telemetry):
            raise DeclarationError(f"kind {self.name!r}: telemetry takes gauges, states and counters, at least one")
        for event in self.events:
            if any(each.signal in sampled for each in event.fields):
                raise DeclarationError(f"event {event.name!r}: events take categories, values and identities")
            if event.has_part and self.part is None:
                raise DeclarationError(f"event {event.name!r} has a part, but kind {self.name!r} declares none")
        for table in self.tables.values():
            columns = [each.name for each in table.fields]
            if table.part is not None:
                columns.append(table.part.name)
            if len(set(columns)) != len(columns):
                raise DeclarationError(f"{table.measurement}: a field stands twice")

    def _check_pairs(self) -> None:
        for pair in self.pairs:
            for match in (pair.opens, *pair.closes):
                table = self.tables.get(match.event)
                if table is None or pair.key not in table.by_name:
                    raise DeclarationError(f"pair {pair.name!r}: event {match.event!r} has no field {pair.key!r}")
                for name, label in match.where.items():
                    if label not in table.by_name[name].labels:
                        raise DeclarationError(f"pair {pair.name!r}: {name!r} has no label {label!r}")

    def _check_statistics(self) -> None:
        names = [each.name for each in self.statistics]
        if len(set(names)) != len(names):
            raise DeclarationError(f"kind {self.name!r}: a statistic stands twice")
        for each in self.statistics:
            self._check_statistic(each, names)

    def _check_statistic(self, each: Statistic, names: list[str]) -> None:
        where = f"kind {self.name!r}, statistic {each.name!r}"
        if each.pair is not None and each.pair not in {pair.name for pair in self.pairs}:
            raise DeclarationError(f"{where}: no pair {each.pair!r}")
        for other in each.operands:
            if other not in names[: names.index(each.name)]:
                raise DeclarationError(f"{where}: {other!r} must be declared before it")
        table = self.tables.get(each.table)
        if table is None:
            raise DeclarationError(f"{where}: no table {each.table!r}")
        if each.field is not None and each.field not in table.by_name:
            raise DeclarationError(f"{where}: {each.table!r} has no field {each.field!r}")
        if each.field is not None and not set(each.labels) <= set(table.by_name[each.field].labels):
            raise DeclarationError(f"{where}: unknown labels {each.labels}")
        for name, labels in each.where.items():
            if name not in table.by_name or not set(labels) <= set(table.by_name[name].labels):
                raise DeclarationError(f"{where}: {each.table!r} has no {name!r} with labels {labels}")
        if each.by is not None and each.by != "part" and each.by not in table.by_name:
            raise DeclarationError(f"{where}: cannot break down by {each.by!r}")
