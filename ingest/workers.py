"""Several ingest processes that share the messages among them: how each is called, and where its files lie."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devices.errors import SettingsError

SHARE = "courtyard"
"""The group under which workers subscribe: `$share/courtyard/…`."""
SPOOL = "spool.sqlite"
"""The spool of an ingest process that works alone."""
GAPS = "gaps.sqlite"
"""Beside the spools of workers: what their sightings together say about gaps."""
MOST = 64

_TEXT = re.compile(r"([1-9]\d?)/([1-9]\d?)", re.ASCII)
_SPOOLS = "spool-*of*.sqlite"


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several ingest processes.

    Attributes:
        number: which, from 1.
        of: how many there are.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        """Check that there is such a worker.

        Raises:
            SettingsError: there is none.
        """
        if not 1 <= self.number <= self.of <= MOST:
            raise SettingsError(f"worker {self}: workers are numbered 1/N to N/N, and there are at most {MOST}")

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/4`.

        Raises:
            SettingsError: it is written otherwise, or there is no such worker.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise SettingsError(f"worker {text[:20]!r}: write 2/4 for the second of four")
        return cls(int(match[1]), int(match[2]))

    @property
    def name(self) -> str:
        """Its name in client ids and file names."""
        return f"{self.number}of{self.of}"

    @property
    def spool(self) -> str:
        """The name of its spool's file."""
        return f"spool-{self.name}.sqlite"


def worker_spools(folder: Path) -> list[Path]:
    """The spools of workers in a folder, by name."""
    return sorted(folder.glob(_SPOOLS))


def all_spools(folder: Path) -> list[Path]:
    """All spools in a folder: that of a process that works or worked alone first."""
    alone = folder / SPOOL
    return [*([alone] if alone.exists() else []), *worker_spools(folder)]


def short_name(spool: Path) -> str:
    """What a spool is called in numbers of dead letters: `2of4`, or "" for that of a process that works alone."""
    return spool.stem.removeprefix("spool").removeprefix("-")
