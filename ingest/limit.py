"""How much one device may send: what is beyond it is taken from the broker, counted, and not read.

Counted by topic in windows of a minute. A topic may send ten times what its kind reports, and sixty readings a minute
at least; and after a silence as much more as it would have sent meanwhile, within the next hour: that is the backlog of
an outage, which must not be lost. So a device that is far too loud is limited within a minute, or within an hour of
ingest's own start, when nothing is known of what it may owe.

Telling it costs 0.1 to 0.2 µs a message: topics are counted in C, and only those that are loud are looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from devices.errors import ReadingError
from devices.inventory import Inventory
from devices.kind import Channel, Kind
from devices.topics import Topic

WINDOW_S = 60.0
_FEW = 60
"""So many readings in a window are never too many."""
_EVENTS = 300
"""Nor so many events: people do not keep to an interval."""
_MESSAGE_BYTES = 512
_READING_BYTES = 128
"""A message above the former holds about one reading in each of the latter."""
_MOST_KNOWN = 2_000_000

Allowed = Callable[[str], float]
"""How many readings a topic may send in a window."""


@dataclass(slots=True)
class _Credit:
    """What a topic may send beyond a window's allowance, and until when."""

    left: float
    until: float


@dataclass(slots=True)
class RateLimit:
    """Tells which messages are too many.

    Attributes:
        allowed: how many readings a topic may send in a window.
        catch_up_s: for so long after a silence its backlog may come, in seconds; 0 allows for none.
        most_s: the longest silence that a backlog is allowed for, in seconds.
    """

    allowed: Allowed
    catch_up_s: float = 3600.0
    most_s: float = 90 * 86_400.0
    _begun: float | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _seen: dict[str, float] = field(default_factory=dict)
    _credits: dict[str, _Credit] = field(default_factory=dict)

    def over(self, topics: Sequence[str], sizes: Sequence[int], now: float) -> list[int]:
        """Count messages.

        Args:
            topics: of each message.
            sizes: the bytes of each payload.
            now: monotonic seconds.

        Returns:
            The places of those that are too many.
        """
        if self._begun is None or now >= self._begun + WINDOW_S:
            self._turn(now)
        counts = self._counts
        counts.update(topics)
        if max(sizes, default=0) > _MESSAGE_BYTES:
            for topic, size in zip(topics, sizes, strict=True):
                if size > _MESSAGE_BYTES:
                    counts[topic] += _readings(size) - 1
        loud = {topic for topic in set(topics) if counts[topic] > _FEW}
        rooms = {topic: room for topic in loud if counts[topic] > (room := self._room(topic, now))}
        return self._beyond(rooms, topics, sizes) if rooms else []

    def _room(self, topic: str, now: float) -> float:
        """How many readings of this window may pass."""
        allowed = self.allowed(topic)
        if self._counts[topic] <= allowed:
            return allowed
        credit = self._credits.get(topic)
        if credit is None:
            credit = self._credits[topic] = self._owed(topic, now)
        return allowed + (credit.left if now <= credit.until else 0.0)

    def _beyond(self, rooms: Mapping[str, float], topics: Sequence[str], sizes: Sequence[int]) -> list[int]:
        """The places of what does not fit, which then counts as nothing: what is refused uses up no room."""
        counts = self._counts
        sent = [(place, topic, _readings(sizes[place])) for place, topic in enumerate(topics) if topic in rooms]
        for _, topic, readings in sent:
            counts[topic] -= readings
        beyond = []
        for place, topic, readings in sent:
            if counts[topic] + readings <= rooms[topic]:
                counts[topic] += readings
            else:
                beyond.append(place)
        return beyond

    def _owed(self, topic: str, now: float) -> _Credit:
        """What a topic may send after its silence: as much as in all of that time."""
        begun = now if self._begun is None else self._begun
        silence = self.most_s if topic not in self._seen else begun - self._seen[topic]
        windows = min(silence, self.most_s) / WINDOW_S if self.catch_up_s else 0.0
        return _Credit(windows * self.allowed(topic), now + self.catch_up_s)

    def _turn(self, now: float) -> None:
        """Begin the next window."""
        if self._begun is not None:
            spent = {topic: self._counts[topic] for topic in self._credits if topic in self._counts}
            for topic, count in spent.items():
                self._credits[topic].left -= max(count - self.allowed(topic), 0.0)
            self._seen.update(dict.fromkeys(self._counts, self._begun + WINDOW_S))
            # A credit is kept while its topic goes on; who falls silent again is owed anew.
            self._credits = {topic: each for topic, each in self._credits.items() if topic in spent}
            if len(self._seen) > _MOST_KNOWN:  # topics that nobody enrolled, on a broker without an access list
                self._seen.clear()
        self._counts.clear()
        self._begun = now


def _readings(size: int) -> int:
    """About how many readings a message of so many bytes holds."""
    return 1 if size <= _MESSAGE_BYTES else size // _READING_BYTES


def allowance(inventory: Inventory, kinds: Mapping[str, Kind], times: float) -> Allowed:
    """How many readings a topic may send in a window.

    Args:
        inventory: which devices there are.
        kinds: how often they report.
        times: so many times as often is allowed.

    Returns:
        The rule; for topics that are none of ours, the least.
    """

    def allowed(text: str) -> float:
        try:
            topic = Topic.parse(text)
        except ReadingError:
            return _FEW
        device, kind = inventory.devices.get(topic.device), kinds.get(topic.kind)
        if device is None or kind is None:
            return _FEW
        nominal = WINDOW_S / kind.interval_s * len(device.parts)
        return max(_EVENTS if topic.channel is Channel.EVENT else _FEW, times * nominal)

    return allowed


def marked(places: Iterable[int], payloads: list[bytes], cut: dict[int, int], first: int) -> None:
    """Leave of messages that are too many only their size, as of those that are too large.

    Args:
        places: which, from `first` on.
        payloads: of all messages held; changed here.
        cut: the size as sent of those that are not held whole; changed here.
        first: where the messages begin in `payloads`.
    """
    for place in places:
        cut[first + place] = max(cut.get(first + place, len(payloads[first + place])), 1)
        payloads[first + place] = b""
