"""Runs: the messages of some batches, side by side, while they are decoded."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from devices.errors import Reason
from ingest.deadletters import DeadLetter
from ingest.frame import Spooled
from ingest.routes import Series
from ingest.rows import Readings
from ingest.sightings import Bools, Ints


@dataclass(slots=True)
class Run:
    """Messages, and what was made of them so far.

    Attributes:
        topics: their topics.
        payloads: their payloads.
        received_ms: int64[n], when they were received, ms since the epoch.
        cut: for the cut payloads, by place: their size as sent, in bytes.
        lost: the dead letters of batches that cannot be read, each with the place of the message that comes next.
        unreadable: how many messages these had beyond one each.
        devices: int64[n], place of their devices; of no meaning for topics that are none of ours.
        alone: bool[n], which are still to be read.
        parts: the readings by table, from each way of reading.
    """

    topics: list[str]
    payloads: list[bytes]
    received_ms: Ints
    cut: dict[int, int]
    lost: list[tuple[int, DeadLetter]]
    unreadable: int
    devices: Ints
    alone: Bools
    parts: dict[Series, list[Readings]] = field(default_factory=dict)

    def add(self, series: Series, readings: Readings) -> None:
        """Take readings that were made."""
        self.parts.setdefault(series, []).append(readings)


def gathered(batches: Iterable[Spooled]) -> Run:
    """The messages of batches, none of them read."""
    topics: list[str] = []
    payloads: list[bytes] = []
    times: list[int] = []
    counts: list[int] = []
    cut: dict[int, int] = {}
    lost = []
    unreadable = 0
    for batch in batches:
        messages, begun = batch.messages, len(topics)
        if messages is None:
            lost.append((begun, _lost(batch)))
            unreadable += batch.count - 1
            continue
        topics += messages.topics
        payloads += messages.payloads
        times.append(batch.received_ms)
        counts.append(len(messages))
        cut.update({begun + place: size for place, size in messages.cut.items()})
    received_ms = np.repeat(np.array(times, np.int64), counts)
    devices = np.zeros(len(topics), np.int64)
    return Run(topics, payloads, received_ms, cut, lost, unreadable, devices, np.ones(len(topics), np.bool_))


def _lost(batch: Spooled) -> DeadLetter:
    return DeadLetter(
        time_ms=batch.received_ms,
        reason=Reason.SPOOL_CORRUPT,
        message=f"the spool could not give back a batch of {batch.count} messages: its checksum differs",
        topic="",
    )
