"""The gap book: has every reading's sequence number noted in the transaction that trims the spool.

A process that receives all of a device's readings follows its streams itself. Workers that share them out only note
what they saw; `ingest.gather` brings that together.
"""

import sqlite3
from collections import Counter
from typing import Protocol

from ingest import gapfile
from ingest.gapfile import GapChange
from ingest.gaps import Tracker
from ingest.sightings import Sightings, Stream, Streams, pack

_NOTES = 1000
_READINGS = 100_000
_READINGS_EACH = 50


class GapBook(Protocol):
    """Notes sightings."""

    def enter(self, seen: Sightings) -> tuple[Counter[str], GapChange]:
        """Note sightings.

        Returns:
            By kind, how many of the readings are repetitions; and what is to be changed in the spool's file.
        """

    def kept(self, change: GapChange) -> None:
        """Take a change as made."""


class NotingBook:
    """Only notes what was seen. Says of no reading that it is a repetition: it does not see all of a device.

    Attributes:
        streams: all streams.
    """

    def __init__(self, streams: Streams) -> None:
        """Begin with streams that all are in the file."""
        self.streams = streams
        self._saved = len(streams)

    def enter(self, seen: Sightings) -> tuple[Counter[str], GapChange]:
        """Note sightings."""
        some = bool(len(seen) or seen.refused)
        return Counter(), GapChange(streams=self._new(), readings=len(seen), note=pack(seen) if some else None)

    def kept(self, change: GapChange) -> None:
        """Take a change as made."""
        self._saved += len(change.streams)

    def _new(self) -> list[tuple[int, Stream]]:
        saved = self._saved
        return list(enumerate(self.streams.names[saved:], saved))


class TrackingBook(NotingBook):
    """Follows the streams as well.

    What is known of them is written anew once many readings are noted for each stream that has changed.

    Attributes:
        tracker: knows what is missing.
    """

    def __init__(self, streams: Streams, tracker: Tracker, *, notes: int, readings: int) -> None:
        """Go on where the file is.

        Args:
            streams: the streams, which all are in the file.
            tracker: what is known of them.
            notes: how many notes are in the file.
            readings: how many readings they hold.
        """
        super().__init__(streams)
        self.tracker = tracker
        self._notes = notes
        self._readings = readings

    def enter(self, seen: Sightings) -> tuple[Counter[str], GapChange]:
        """Note sightings, and follow the streams."""
        again = self.tracker.track(seen)
        _, change = super().enter(seen)
        many = max(_READINGS, _READINGS_EACH * self.tracker.changed())
        if self._notes + 1 < _NOTES and self._readings + len(seen) < many:
            return again, change
        return again, GapChange(streams=change.streams, states=self.tracker.states())

    def kept(self, change: GapChange) -> None:
        """Take a change as made."""
        super().kept(change)
        if change.states is None:
            self._notes += change.note is not None
            self._readings += change.readings
        else:
            self.tracker.kept()
            self._notes = self._readings = 0


def noting(db: sqlite3.Connection) -> NotingBook:
    """The book of a spool that is one of several.

    Raises:
        SpoolError: the file is damaged.
    """
    return NotingBook(gapfile.streams(db))


def tracking(db: sqlite3.Connection) -> TrackingBook:
    """The book of a spool that is the only one.

    Raises:
        SpoolError: the file is damaged.
    """
    streams = gapfile.streams(db)
    tracker = gapfile.restored(db, streams)
    notes, readings = gapfile.noted(db)
    return TrackingBook(streams, tracker, notes=notes, readings=readings)
