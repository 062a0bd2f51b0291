"""The ledger: received = written + duplicate + dead-lettered, per kind, for all that has left the spool.

Counters lie in the spool's file and change only in the transactions that fill and trim it, so that they are exact
whatever is killed in between. What still waits in the spool is pending: taken = settled + pending, in messages. The
unit of all else is a reading (one object of a payload); a message that is refused whole counts as one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

UNKNOWN_KIND = "unknown"
"""The kind under which messages are counted whose topic names no known kind."""


class Entry(StrEnum):
    """What is counted."""

    TAKEN = "taken"  # messages that were ever put into the spool, under kind ""
    MESSAGES = "messages"  # messages that have left the spool, under kind ""
    RECEIVED = "received"
    WRITTEN = "written"
    DUPLICATE = "duplicate"
    DEAD_LETTERED = "dead_lettered"
    REPLAYED = "replayed"  # dead letters that were spooled again; what became of them then is counted like all else


class Account(NamedTuple):
    """One counter: what is counted, of which kind and, for dead letters, the reason."""

    entry: Entry
    kind: str
    reason: str = ""


Counts = Counter[Account]
TAKEN = Account(Entry.TAKEN, "")
"""The messages that were ever put into the spool."""
SETTLED = Account(Entry.MESSAGES, "")
"""The messages that have left the spool."""


def per_kind(counts: Mapping[Account, int], entry: Entry) -> Counter[str]:
    """One entry by kind, over all reasons."""
    found: Counter[str] = Counter()
    for account, value in counts.items():
        if account.entry is entry:
            found[account.kind] += value
    return found


def per_reason(counts: Mapping[Account, int]) -> Counter[str]:
    """Dead letters by reason, over all kinds."""
    found: Counter[str] = Counter()
    for account, value in counts.items():
        if account.entry is Entry.DEAD_LETTERED:
            found[str(account.reason)] += value
    return found


def unbalanced(counts: Mapping[Account, int]) -> dict[str, int]:
    """By kind, how many readings received are accounted for nowhere; empty where the ledger balances."""
    left = per_kind(counts, Entry.RECEIVED)
    for entry in (Entry.WRITTEN, Entry.DUPLICATE, Entry.DEAD_LETTERED):
        left.subtract(per_kind(counts, entry))
    return {kind: value for kind, value in left.items() if value}


def moved(counts: Mapping[Account, int], again: Mapping[str, int]) -> Counts:
    """The counts with some of the readings written, by kind, taken for repetitions."""
    made = Counter(counts)
    for kind, value in again.items():
        made[Account(Entry.WRITTEN, kind)] -= value
        made[Account(Entry.DUPLICATE, kind)] += value
    return made


def counted(rows: Iterable[tuple[str, str, str, int]]) -> Counts:
    """The counters as they lie in the file."""
    return Counter({Account(Entry(entry), kind, reason): value for entry, kind, reason, value in rows})
