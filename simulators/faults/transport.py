"""What goes wrong on the way: messages come twice, late, overtaken, many at once, or are nonsense. Nothing is lost."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import numpy as np

from devices.columns import Times
from devices.inventory import Device
from simulators.encode import Message
from simulators.faults.options import FaultRates
from simulators.faults.spells import DAY_MS, Spells, since

HOUR_MS = 3_600_000
LATEST_MS = 48 * HOUR_MS
"""The longest that a late message is kept back."""

_OVERTAKEN_MS = 30_000
_TOGETHER = 50
_SOON_MS = 2_000


class Transport:
    """Disturbs messages. Spans must come in the order of time."""

    def __init__(self, rates: FaultRates, devices: Sequence[Device], seed: int) -> None:
        """Draw nothing yet.

        Args:
            rates: how often.
            devices: all devices; a device's number is its place here.
            seed: the fleet's seed.
        """
        self._rates = rates
        self._seed = seed
        compounds = {each.compound: None for each in devices}
        places = {name: place for place, name in enumerate(compounds)}
        self._compound_of = np.array([places[each.compound] for each in devices], np.int64)
        self._uplinks = Spells("uplinks", seed, len(compounds), rate=rates.uplinks, minutes=40, most_minutes=360)
        self._late: list[tuple[int, int, Message]] = []
        self._number = count()
        self._spans = 0

    def disturbed(self, messages: Sequence[Message], until_ms: int | None) -> list[Message]:
        """What is published of a span, with what was kept back before and is due now.

        Args:
            messages: the messages of the span, by `due_ms`.
            until_ms: where the span ends; None: nothing is kept back any longer.

        Returns:
            The messages by their new `due_ms`, which is never earlier than the old one.
        """
        rng = np.random.default_rng([self._seed, self._spans, 0x7A])
        self._spans += 1
        messages = self._gathered(messages, rng)
        due = self._due(messages, rng)
        for at, message in zip(due.tolist(), messages, strict=True):
            self._keep(message._replace(due_ms=at))
        for message in self._nonsense(messages, rng):
            self._keep(message)
        for place in np.flatnonzero(rng.random(len(messages)) < self._rates.duplicates).tolist():
            # The same bytes once more: a copy counts as nothing.
            self._keep(messages[place]._replace(due_ms=int(due[place] + rng.integers(0, _OVERTAKEN_MS)), counts=()))
        return self._taken(until_ms)

    def _keep(self, message: Message) -> None:
        heapq.heappush(self._late, (message.due_ms, next(self._number), message))

    def _taken(self, until_ms: int | None) -> list[Message]:
        found = []
        while self._late and (until_ms is None or self._late[0][0] < until_ms):
            found.append(heapq.heappop(self._late)[2])
        return found

    def _due(self, messages: Sequence[Message], rng: np.random.Generator) -> Times:
        """int64[n]: when each message gets through."""
        due = np.array([message.due_ms for message in messages], np.int64)
        if not len(due):
            return due
        number = len(due)
        overtaken, late = rng.random(number) < self._rates.reordering, rng.random(number) < self._rates.lateness
        due += np.where(overtaken, rng.integers(0, _OVERTAKEN_MS, number), 0)
        # Most late messages are some minutes late; a few two days.
        due += np.where(late, (LATEST_MS * rng.random(number) ** 4).astype(np.int64), 0)
        spells = self._uplinks.within(int(due.min()), int(due.max()))
        compound = self._compound_of[[message.device for message in messages]]
        begun = since(spells, compound, due)
        for place in np.flatnonzero(begun >= 0).tolist():
            here = (spells.series == compound[place]) & (spells.begin_ms <= due[place]) & (spells.end_ms > due[place])
            due[place] = int(spells.end_ms[here].max()) + int(rng.integers(0, _SOON_MS))
        return due

    def _gathered(self, messages: Sequence[Message], rng: np.random.Generator) -> list[Message]:
        """The messages, some devices' of an hour put together in arrays."""
        if not self._rates.batches or not messages:
            return list(messages)
        hours = np.array([message.due_ms for message in messages], np.int64) // HOUR_MS
        owners = np.array([message.device for message in messages], np.int64)
        code, place = np.unique(owners * (DAY_MS * 400) + hours, return_inverse=True)
        chosen = (rng.random(len(code)) < self._rates.batches)[place]
        kept: list[Message] = []
        open_: dict[tuple[str, int], list[Message]] = {}
        for message, hour, gathers in zip(messages, hours.tolist(), chosen.tolist(), strict=True):
            if not gathers or message.retain:
                kept.append(message)
                continue
            group = open_.setdefault((message.topic, hour), [])
            group.append(message)
            if len(group) == _TOGETHER:
                kept.append(_together(group))
                group.clear()
        kept += [_together(group) for group in open_.values() if group]
        return kept

    def _nonsense(self, messages: Sequence[Message], rng: np.random.Generator) -> Iterable[Message]:
        """Malformed copies of some messages, each of which must be refused whole."""
        for place in np.flatnonzero(rng.random(len(messages)) < self._rates.malformed).tolist():
            message = messages[place]
            damage = _DAMAGES[int(rng.integers(0, len(_DAMAGES)))]
            yield message._replace(payload=damage(message.payload), counts=(), retain=False)


def _together(group: Sequence[Message]) -> Message:
    """One message of many of one topic; it goes when the last of them does."""
    inner = b",".join([each.payload[1:-1] if each.payload[:1] == b"[" else each.payload for each in group])
    totals: dict[str, int] = {}
    for each in group:
        for name, number in each.counts:
            totals[name] = totals.get(name, 0) + number
    return group[-1]._replace(payload=b"[%b]" % inner, counts=tuple(totals.items()))


Damage = Callable[[bytes], bytes]
_DAMAGES: tuple[Damage, ...] = (
    lambda payload: payload[: len(payload) // 2],  # cut off
    lambda payload: payload.replace(b'"seq":', b'"seq":"x",', 1).replace(
        b'"x",', b'"x","also":', 1
    ),  # text for a number
    lambda payload: payload.replace(b'"ts":', b'"surprise":1,"ts":', 1),  # a field that nobody declared
    lambda payload: payload.replace(b'"ts":', b'"face_id":"1","ts":', 1),  # a field that nobody may send
    lambda _: b"\xff\xfe\x00garbage",
)
