"""What a fleet has published, and what of it the broker has acknowledged: exact, by measurement."""

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from simulators.encode import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What came of a run.

    Attributes:
        published: readings sent to the broker at least once, by measurement.
        acknowledged: readings whose PUBACK said 0x00, by measurement.
        messages: messages acknowledged.
        last_ms: time of the latest reading acknowledged, ms since the epoch, or None where there is none.
        boot: the `boot` id of the run.
        seed: its seed.
        seconds: how long it took, in real seconds.
    """

    published: dict[str, int]
    acknowledged: dict[str, int]
    messages: int
    last_ms: int | None
    boot: int
    seed: int
    seconds: float

    def as_json(self) -> str:
        """The summary as an indented JSON object."""
        last = None
        if self.last_ms is not None:
            last = dt.datetime.fromtimestamp(self.last_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
        made: dict[str, Any] = {
            "published": self.published,
            "acknowledged": self.acknowledged,
            "published_total": sum(self.published.values()),
            "acknowledged_total": sum(self.acknowledged.values()),
            "messages_acknowledged": self.messages,
            "last_reading": last,
            "last_reading_ms": self.last_ms,
            "boot": self.boot,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
        }
        return json.dumps(made, indent=2) + "\n"


class Tally:
    """Counts as a run goes on.

    Attributes:
        waiting: messages handed to links and not acknowledged yet.
        readings: readings acknowledged.
        last_ms: time of the latest reading acknowledged, ms since the epoch, or None.
        refused: publishes refused since it was last cleared, by reason code.
        lost: connections lost since it was last cleared, by what the connection says of it.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.waiting = 0
        self.readings = 0
        self.refused: Counter[int] = Counter()
        self.lost: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._messages = 0
        self.last_ms: int | None = None

    def publish(self, message: Message) -> None:
        """Count a message that is sent for the first time."""
        for name, count in message.counts:
            self._published[name] += count

    def acknowledge(self, message: Message) -> None:
        """Count a message whose PUBACK said 0x00."""
        for name, count in message.counts:
            self._acknowledged[name] += count
            self.readings += count
        self.waiting -= 1
        self._messages += 1
        if self.last_ms is None or message.due_ms > self.last_ms:
            self.last_ms = message.due_ms

    def summary(self, *, boot: int, seed: int, seconds: float) -> Summary:
        """The counts so far."""
        return Summary(
            published=dict(sorted(self._published.items())),
            acknowledged=dict(sorted(self._acknowledged.items())),
            messages=self._messages,
            last_ms=self.last_ms,
            boot=boot,
            seed=seed,
            seconds=seconds,
        )
