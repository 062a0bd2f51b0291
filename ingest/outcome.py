"""What became of messages: decode and delivery say it, and the spool keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ingest.deadletters import DeadLetter
from ingest.gapfile import GapChange
from ingest.ledger import Account


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the messages that a trim removes.

    Attributes:
        counts: by how much each counter grows.
        letters: the dead letters among them.
        gaps: what they change about the gaps.
    """

    counts: Mapping[Account, int] = field(default_factory=lambda: MappingProxyType({}))
    letters: Sequence[DeadLetter] = ()
    gaps: GapChange = field(default_factory=GapChange)
