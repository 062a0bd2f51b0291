"""Ingest as a process of its own, for tests that kill it: `runner.py PORT FOLDER INVENTORY SETTINGS` (JSON)."""

import json
import logging
import signal
import sys
import threading
from pathlib import Path

import structlog

from devices.inventory import Inventory
from devices.registry import discover
from ingest.options import IngestOptions
from ingest.service import Ingest
from mqtt.options import BrokerOptions
from store.duck import DuckStore


def main() -> int:
    """Run until SIGTERM; the exit status is that of ingest."""
    port, folder, inventory, settings = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    kinds = discover()
    store = DuckStore(folder / "readings.duckdb", kinds.tables())
    options = IngestOptions(spool=folder / "spool.sqlite", min_free_bytes=0, write_age_s=0.05, **settings)
    ingest = Ingest(
        options, BrokerOptions(port=port), Inventory.parse(inventory.read_text(encoding="utf-8"), kinds), kinds, store
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        return ingest.run_forever(stop)
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
