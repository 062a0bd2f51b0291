"""Spool, decode and store as ingest has them, driven by a test a turn at a time; and numbered readings of a gate."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from devices.inventory import Inventory
from devices.registry import Registry
from ingest import gapbook
from ingest.closing import Closing
from ingest.decode import Decoder
from ingest.deliver import Delivery
from ingest.frame import Messages
from ingest.gaps import Gap
from ingest.ledger import Entry, per_kind
from ingest.options import IngestOptions
from ingest.spool import Spool
from ingest.writer import Writer
from store.protocol import Store
from tests.ingest.conftest import LIMITS
from tests.ingest.fleet import Sent

NOW_MS = 1_700_000_000_000
FOREVER = 2**62
GATE = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"


def gate(*numbers: int, boot: int = 1, topic: str = GATE, since_ms: int = NOW_MS) -> Sent:
    """One message of readings of a gate."""
    made = [
        {"ts": since_ms + number, "seq": number, "boot": boot, "door": "open", "tamper": False, "uptime_s": 1.0}
        for number in numbers
    ]
    return Sent(topic, json.dumps(made).encode())


def now(*numbers: int, topic: str = GATE) -> Sent:
    """The same, of the last seconds."""
    return gate(*numbers, topic=topic, since_ms=time.time_ns() // 1_000_000 - 1000)


class Line:
    """Spool, decode and store as ingest has them, a turn at a time."""

    def __init__(self, path: Path, inventory: Inventory, kinds: Registry, store: Store) -> None:
        """Open the spool and go on from where it is."""
        self.spool = Spool(path, LIMITS)
        self.book = self.spool.ask(gapbook.tracking)
        decoder = Decoder(inventory, kinds, max_future_s=3600, max_age_days=90, streams=self.book.streams)
        delivery = Delivery(store, Closing(), most_rows=1000, notice_s=60, observe=lambda _: None)
        options = IngestOptions(spool=path)
        self.writer = Writer(
            options, self.spool, decoder.decode, delivery, Closing(), note=lambda _batches: None, book=self.book
        )

    def take(self, messages: Sequence[Sent], received_ms: int = NOW_MS) -> None:
        """Spool messages as one batch, and write them."""
        self.spool.append(Messages([each.topic for each in messages], [each.payload for each in messages]), received_ms)
        self.turn()

    def turn(self) -> None:
        """One turn of the writer."""
        self.writer._turn()

    def gaps(self) -> list[Gap]:
        """All gaps, told or not."""
        return self.book.tracker.worst(FOREVER, 1000)

    def total(self, entry: Entry) -> int:
        """One entry of the ledger, over all kinds."""
        return per_kind(self.spool.counts, entry).total()
