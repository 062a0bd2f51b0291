"""A small installation whose clock stands where a test puts it, served with its pages: `served.py PORT FOLDER`."""

import sys
import threading
from pathlib import Path

from access.doors import Doors
from access.limits import SignIns
from alarms.book import Book
from alarms.calendar import Calendar
from alarms.standing import Change, Subject, What
from api.app import create_app
from api.options import ApiOptions
from courtyard.ledger import ledger_reader
from courtyard.server import ApiServer
from courtyard.settings import load
from devices.alarms import Severity
from devices.registry import discover
from ingest.spool import Spool
from pages.site import install
from records.database import Database
from tests.api.memory_store import MemoryStore
from tests.api.world import DAY_S, NOW_NS, NS_PER_S, batches, inventory_of
from tests.ingest.conftest import LIMITS

KEY = "a-key-for-tests-only-0001"
LOOK_S = 0.2
FIRE_LANE = Subject("camera", "fire_lane_blocked", "jingyuan", "jingyuan-camera-01")
ALARMS = (
    (Subject("bin", "full", "jingyuan", "jingyuan-bin-01", "kitchen"), Severity.MAJOR, "0.97"),
    (FIRE_LANE, Severity.CRITICAL, ""),
    (Subject("", "uplink_down", "xinyuan"), Severity.CRITICAL, "9/10"),
    (Subject("gate", "held", "xinyuan", "xinyuan-gate-01"), Severity.MINOR, "held"),
    (Subject("locker", "overdue", "jingyuan", "jingyuan-locker-01"), Severity.WARNING, "<b>s01</b>"),
)


def main(port: int, folder: Path) -> None:
    """Serve until killed."""
    kinds = discover()
    inventory = inventory_of(kinds)
    store = MemoryStore()
    store.write(list(batches(inventory, kinds, seconds=3 * DAY_S)))
    database = Database(f"sqlite:///{folder / 'records.db'}")
    database.migrate()
    book = Book(database)
    if not (folder / "raised").exists():
        raised = [
            (
                Change(
                    What.RAISED, subject, NOW_NS - (n + 1) * 600 * NS_PER_S, NOW_NS - (n + 2) * 600 * NS_PER_S, value
                ),
                bad,
            )
            for n, (subject, bad, value) in enumerate(ALARMS)
        ]
        book.write(raised, {}, {})
        (folder / "raised").touch()

    def clock() -> int:
        later = folder / "later_s"
        return NOW_NS + (int(later.read_text()) if later.exists() else 0) * NS_PER_S

    options = ApiOptions(keys=(KEY,), hold_s=0.0)
    doors = Doors(database, keys=(KEY,), clock=clock)
    doors.sign_ins = SignIns(by_name=10_000, by_address=10_000)
    Spool(folder / "spool.sqlite", LIMITS).close()
    app = create_app(
        options, inventory, kinds, store, alarms=book, calendar=Calendar(database), doors=doors, clock=clock,
        ledger=ledger_reader(load(None, data_dir=folder), kinds),
    )  # fmt: skip
    install(app, doors, inventory, kinds, look_s=LOOK_S)
    server = ApiServer(app, "127.0.0.1", port)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
