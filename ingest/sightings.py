"""Sightings: which sequence numbers of which streams came, as arrays, and as bytes for the spool's file. Pure.

A stream is one channel of one device. As bytes, runs of consecutive numbers take 16 bytes each, and single numbers 12.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.errors import SpoolError

_HEADER = struct.Struct("<4sqIIIB")  # magic, time, runs, numbers that do not count, refused messages, flags
_MAGIC = b"CYS1"
_WIDE_BOOT, _WIDE_SEQ, _RUNS = 1, 2, 4
_NARROW = 2**32

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Stream(NamedTuple):
    """One channel of one device, in one compound: a device that moves, or becomes another kind, begins anew."""

    kind: str
    compound: str
    device: str
    channel: str


class Streams:
    """All streams that were ever seen, each with a number of its own.

    Attributes:
        names: the streams by their number.
    """

    def __init__(self, names: Sequence[Stream] = ()) -> None:
        """Begin with streams that have their numbers already."""
        self.names = list(names)
        self._numbers = {each: number for number, each in enumerate(self.names)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self.names)

    def number(self, stream: Stream) -> int:
        """The number of a stream, which is given one where it has none."""
        number = self._numbers.setdefault(stream, len(self.names))
        if number == len(self.names):
            self.names.append(stream)
        return number


@dataclass(frozen=True, slots=True)
class Sightings:
    """Numbers that came, in the order received within each stream.

    Attributes:
        received_ms: when they came, ms since the epoch.
        stream: int64[n], the stream's number.
        boot: int64[n], the boot; 0 where the object gave none.
        seq: int64[n], the sequence number.
        counts: bool[n], whether the reading is to be counted as a duplicate where its number is one; None: all are.
            Those are not that are in no store: overwritten by another of the same run, or dead letters.
        refused: streams of messages that were refused, as often as that was so.
    """

    received_ms: int
    stream: Ints
    boot: Ints
    seq: Ints
    counts: Bools | None = None
    refused: Sequence[int] = ()

    def __len__(self) -> int:
        """The number of readings."""
        return len(self.seq)


def pack(sightings: Sightings) -> bytes:
    """Make bytes of sightings."""
    stream, boot, seq = sightings.stream, sightings.boot, sightings.seq
    starts = np.ones(len(seq), np.bool_)
    starts[1:] = (stream[1:] != stream[:-1]) | (boot[1:] != boot[:-1]) | (seq[1:] != seq[:-1] + 1)
    flags = 0
    lengths = b""
    if not starts.all():
        flags |= _RUNS
        places = np.flatnonzero(starts)
        lengths = np.diff(places, append=len(seq)).astype("<u4").tobytes()
        stream, boot, seq = stream[places], boot[places], seq[places]
    flags |= _WIDE_BOOT * bool(len(boot) and boot.max() >= _NARROW)
    flags |= _WIDE_SEQ * bool(len(seq) and seq.max() >= _NARROW)
    counts = sightings.counts
    without = np.flatnonzero(~counts) if counts is not None else np.empty(0, np.int64)
    refused = np.array(sightings.refused, "<u4")
    return b"".join((
        _HEADER.pack(_MAGIC, sightings.received_ms, len(seq), len(without), len(refused), flags),
        stream.astype("<u4").tobytes(),
        boot.astype("<i8" if flags & _WIDE_BOOT else "<u4").tobytes(),
        seq.astype("<i8" if flags & _WIDE_SEQ else "<u4").tobytes(),
        lengths,
        without.astype("<u4").tobytes(),
        refused.tobytes(),
    ))  # fmt: skip


def unpack(content: bytes) -> Sightings:
    """Read sightings back.

    Raises:
        SpoolError: the bytes are not what `pack` made.
    """
    try:
        magic, received_ms, runs, without, refused, flags = _HEADER.unpack_from(content)
        if magic != _MAGIC:
            raise SpoolError("the spool holds sightings that this program cannot read")
        place = _HEADER.size
        arrays = []
        for count, kind in (
            (runs, "<u4"),
            (runs, "<i8" if flags & _WIDE_BOOT else "<u4"),
            (runs, "<i8" if flags & _WIDE_SEQ else "<u4"),
            (runs if flags & _RUNS else 0, "<u4"),
            (without, "<u4"),
            (refused, "<u4"),
        ):
            part = np.frombuffer(content, kind, count, place)
            place += part.nbytes
            arrays.append(part.astype(np.int64))
    except (struct.error, ValueError) as exc:
        raise SpoolError("the spool holds sightings that are damaged") from exc
    stream, boot, seq, lengths, uncounted, refusals = arrays
    if flags & _RUNS:
        begins = np.cumsum(lengths) - lengths
        stream, boot, seq = (np.repeat(each, lengths) for each in (stream, boot, seq - begins))
        seq += np.arange(len(seq))
    counts = None
    if without:
        counts = np.ones(len(seq), np.bool_)
        counts[uncounted] = False
    return Sightings(received_ms, stream, boot, seq, counts, refusals.tolist())
