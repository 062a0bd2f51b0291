"""Frames: what came within a tenth of a second, written once and sent to all who want it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import orjson


class Group(NamedTuple):
    """Whose events lie together."""

    compound: str
    kind: str
    about_people: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream is to carry; None carries all.

    Attributes:
        compounds: ids of compounds.
        kinds: names of kinds.
        people: whether it is to carry events that are the doings of single persons.
    """

    compounds: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    people: bool = True

    def has(self, group: Group) -> bool:
        """Whether the events of a group are wanted."""
        return (
            (self.compounds is None or group.compound in self.compounds)
            and (self.kinds is None or group.kind in self.kinds)
            and (self.people or not group.about_people)
        )


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: counts frames, from 1 on.
        notice: events that everybody gets: whether the broker is there, what was left out.
        events: the others, as they are sent.
    """

    number: int
    notice: bytes
    events: Mapping[Group, bytes]

    @cached_property
    def size(self) -> int:
        """Its bytes."""
        return len(self.notice) + sum(map(len, self.events.values()))

    def chosen(self, wanted: Wanted) -> bytes:
        """What a stream gets of it."""
        return self.notice + b"".join([text for group, text in self.events.items() if wanted.has(group)])


def event(name: str, data: object) -> bytes:
    """One event as text/event-stream has it: https://html.spec.whatwg.org/multipage/server-sent-events.html.

    Args:
        name: its type.
        data: what can be written as JSON.
    """
    return written(name, orjson.dumps(data))


def written(name: str, data: bytes) -> bytes:
    """One event whose data is JSON already, without a line break in it."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def marked(texts: Iterable[bytes], mark: str) -> bytes:
    """Events, and behind them how far the stream has come: what a client shows to go on from there."""
    return b"".join([*texts, b"id: %b\n\n" % mark.encode()])
