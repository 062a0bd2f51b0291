"""How one rule stands for one subject: whether its condition holds, since when, and whether that was raised."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from devices.alarms import Rule


class Subject(NamedTuple):
    """What an alarm is about.

    Attributes:
        kind: name of the kind; "" where it is about a whole compound.
        rule: name of the rule.
        compound: id.
        device: id; "" where it is about the compound.
        part: part of the device; "" where it is about all of it.
    """

    kind: str
    rule: str
    compound: str
    device: str = ""
    part: str = ""


class What(StrEnum):
    """What happens to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm is raised or cleared.

    Attributes:
        what: which.
        subject: of what.
        at_ns: when, by the device's time: as soon as the condition had held, or not held, for long enough.
        since_ns: when the condition began.
        value: what was read then, as text.
    """

    what: What
    subject: Subject
    at_ns: int
    since_ns: int
    value: str


@dataclass(slots=True)
class Standing:
    """Where a rule stands for a subject.

    Attributes:
        holds: whether its condition holds.
        turned_ns: since when it does, or does not.
        seen_ns: the newest row that was looked at.
        raised: whether an alarm is open.
        since_ns: when the condition of the open alarm began.
        value: what was read when the condition began.
        keys: of a `Lasting`: when what began, or, as a negative number, when it ended.
        recent: of a `Burst`: when its events were, the newest last.
        counts: whether it is of a `Burst`, so that it must remember which events it has counted.
        samples: of a `Filling`: time and level of the latest samples.
    """

    holds: bool = False
    turned_ns: int = 0
    seen_ns: int = 0
    raised: bool = False
    since_ns: int = 0
    value: str = ""
    keys: dict[str, int] = field(default_factory=dict)
    recent: deque[int] = field(default_factory=deque)
    counts: bool = False
    samples: list[tuple[int, float]] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        """Whether nothing need be remembered of it."""
        return not (self.holds or self.raised or self.keys or self.counts or self.samples)

    @property
    def is_open(self) -> bool:
        """Of a `Lasting`: whether anything has begun and not ended."""
        return any(each > 0 for each in self.keys.values())

    def forget_ended(self, before_ns: int) -> None:
        """Of a `Lasting`: let go of what ended before an instant."""
        self.keys = {key: each for key, each in self.keys.items() if each > 0 or -each >= before_ns}

    def turn(self, *, holds: bool, at_ns: int, value: str) -> None:
        """The condition begins or ends at an instant; nothing where it stands so already."""
        if holds == self.holds:
            return
        self.holds, self.turned_ns = holds, at_ns
        if holds:
            self.value = value

    def settle(self, rule: Rule, subject: Subject, until_ns: int, *, quiet: bool = False) -> Iterator[Change]:
        """What is due, given that it stands as it does until an instant; nothing is raised where it is to be quiet."""
        lasted = until_ns - self.turned_ns
        if self.holds and not self.raised and not quiet and lasted >= rule.for_s * 1e9:
            self.raised, self.since_ns = True, self.turned_ns
            at_ns = self.turned_ns + round(rule.for_s * 1e9)
            yield Change(What.RAISED, subject, at_ns, self.since_ns, self.value)
        elif self.raised and not self.holds and lasted >= rule.clear_s * 1e9:
            self.raised = False
            yield Change(What.CLEARED, subject, self.turned_ns + round(rule.clear_s * 1e9), self.since_ns, self.value)

    def yield_to(self, subject: Subject, at_ns: int) -> Iterator[Change]:
        """A worse alarm stands for this one, which is cleared."""
        if self.raised:
            self.raised = False
            yield Change(What.CLEARED, subject, at_ns, self.since_ns, self.value)

    def drop(self, subject: Subject, now_ns: int) -> Iterator[Change]:
        """Its rule, or what it is about, is gone: an open alarm is cleared, and all is forgotten."""
        if self.raised:
            yield Change(What.CLEARED, subject, now_ns, self.since_ns, self.value)
        self.holds = self.raised = self.counts = False
        self.keys, self.recent, self.samples = {}, deque(), []

    def kept(self) -> dict[str, Any]:
        """All of it as JSON can carry it."""
        return {
            "holds": self.holds, "turned_ns": self.turned_ns, "seen_ns": self.seen_ns, "raised": self.raised,
            "since_ns": self.since_ns, "value": self.value, "keys": self.keys, "recent": list(self.recent),
            "counts": self.counts, "samples": self.samples,
        }  # fmt: skip

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        """As it was kept."""
        return cls(**{**kept, "keys": dict(kept["keys"]), "recent": deque(kept["recent"])})
