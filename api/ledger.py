"""The ledger's answer: what became of everything received, and what never came."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from api.models import Model


class LedgerKind(Model):
    """What became of one kind's readings: received = written + duplicate + the sum of dead_lettered."""

    kind: Annotated[str, Field(description='Name of the kind; "unknown" for messages that name none')]
    received: Annotated[int, Field(description="Readings that have left the spool, and messages refused whole")]
    written: Annotated[int, Field(description="Of these: written to the store for the first time")]
    duplicate: Annotated[int, Field(description="Of these: received before")]
    dead_lettered: Annotated[dict[str, int], Field(description="Of these: refused, by reason")]
    replayed: Annotated[
        int, Field(description="Dead letters replayed; what became of them then is counted like all else")
    ]
    missing: Annotated[int, Field(description="Readings that never came although later ones did")]
    pending: Annotated[
        int | None, Field(description="Messages that wait in the spool; null where too many wait to look at each")
    ]


class LedgerSpool(Model):
    """One spool: taken = settled + pending."""

    name: str
    running: Annotated[bool, Field(description="Whether an ingest process uses it now")]
    taken: Annotated[int, Field(description="Messages it ever took")]
    settled: Annotated[int, Field(description="Messages that have left it")]
    pending: Annotated[int, Field(description="Messages that wait in it")]
    pending_bytes: int
    oldest_pending_s: Annotated[float, Field(description="For how long the oldest has waited")]


class LedgerRange(Model):
    """Missing sequence numbers of one boot, from first to last."""

    boot: int
    first: int
    last: int


class LedgerStream(Model):
    """What is missing on one channel of one device."""

    device: str
    kind: str
    compound: str
    channel: str
    boot: Annotated[int | None, Field(description="Its present boot; null where all its messages were refused")]
    highest_seq: Annotated[int | None, Field(description="The highest number received of it")]
    boots: Annotated[int, Field(description="How often its boot has changed")]
    missing: Annotated[int, Field(description="Readings missing, of all boots")]
    lost: Annotated[int, Field(description="How many of them are missing for good: nothing that comes fills them")]
    refused_messages: Annotated[
        int, Field(description="Messages of it that were refused: the readings in them are among the missing")
    ]
    ranges: Annotated[
        list[LedgerRange], Field(description="Which are missing; the latest 100 ranges of the last two boots")
    ]


class LedgerAnswer(Model):
    """The ledger of an installation, as of one moment."""

    time: Annotated[str, Field(description="RFC 3339, UTC")]
    balanced: Annotated[bool, Field(description="Whether everything received is accounted for")]
    faults: Annotated[list[str], Field(description="What does not balance; empty where all does")]
    missing: Annotated[int, Field(description="Readings missing, over all kinds")]
    pending: Annotated[int, Field(description="Messages that wait, over all spools")]
    kinds: list[LedgerKind]
    spools: list[LedgerSpool]
    streams: Annotated[list[LedgerStream], Field(description="Those that miss most; with `device`, all of that device")]


Ledger = Callable[[str | None, int], LedgerAnswer]
"""Reads the ledger: with one device's streams or the worst of all, so many at most. Raises LedgerAwayError."""
