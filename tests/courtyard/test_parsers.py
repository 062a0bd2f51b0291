"""Every parser of text or bytes from outside: whatever it is given, it gives what it declares or raises our error."""

import contextlib
import string
from collections.abc import Callable, Mapping
from datetime import UTC
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access import tokens
from access.broker_files import Role
from access.callers import Grant
from access.enrolment import user_of
from aggregate.edges import Every
from alarms.rules import parse as parse_rules
from alarms.targets import parse as parse_targets
from api import readings
from api.times import parse_instant, parse_span
from courtyard.archive import unpacked
from courtyard.keeping_cli import _instant
from courtyard.settings import load
from devices.errors import CourtyardError
from devices.inventory import Inventory
from devices.payloads import Schemas
from devices.privacy import is_personal, is_personal_text, is_personal_topic
from devices.registry import discover
from devices.topics import Topic
from ingest.frame import FrameError, unpack
from ingest.workers import Worker
from mqtt.packets import MalformedError, Message, scan
from pages.origin import is_foreign
from pages.tongue import Language
from pages.way_in import _local
from rollups.rows import _parsed
from simulators.faults.options import FaultRates
from simulators.options import parse_speed, parse_time
from tests.api.world import NOW_NS, inventory_of

KINDS = discover()
INVENTORY = inventory_of(KINDS)
SCHEMAS = Schemas(KINDS)
ZONE = ZoneInfo("Asia/Shanghai")
SPAN = {"now_ns": NOW_NS, "tz": ZONE, "max_days": 400}

TEXTS: Mapping[str, Callable[[str], object]] = {
    "topic": Topic.parse,
    "bucket": Every.parse,
    "instant": partial(parse_instant, "start", now_ns=NOW_NS, tz=ZONE),
    "span": lambda text: parse_span(text, None, now_ns=NOW_NS, tz=ZONE, max_days=400),
    "cursor": readings._parse_cursor,
    "inventory": lambda text: Inventory.parse(text, KINDS),
    "alarm rules": lambda text: parse_rules(text, KINDS, INVENTORY),
    "alarm targets": lambda text: parse_targets(text, INVENTORY),
    "worker": Worker.parse,
    "faults": FaultRates.parse,
    "simulated time": lambda text: parse_time(text, NOW_NS // 10**6, ZONE),
    "speed": parse_speed,
    "key": tokens.read,
    "scopes": lambda text: Grant.of(text.split(","), None),
    "device": lambda text: user_of(INVENTORY, text, Role.DEVICE),
    "gateway": lambda text: user_of(INVENTORY, text, Role.GATEWAY),
    "day of a purge": lambda text: _instant(text, UTC),
    "language": Language.of,
    "address to return to": _local,
    "origin": lambda text: is_foreign({"origin": text, "host": "courtyard.test"}),
    "personal text": is_personal_text,
    "personal topic": is_personal_topic,
    "port": lambda text: load(None, api_port=text),
    "retention": lambda text: load(None, retention_days_of=text),
}
BYTES: Mapping[str, Callable[[bytes], object]] = {
    **{f"payload of {'/'.join(key)}": SCHEMAS[key].validate for key in SCHEMAS},
    "packets": lambda data: scan(data, 0, list[Message](), most=9, most_bytes=1000),
    "frame": unpack,
    "rows of a backup": lambda data: unpacked(data, KINDS["gate"].tables["pass"]),
    "personal": is_personal,
}
DECLARED = (CourtyardError, FrameError, MalformedError)

words = st.sampled_from([
    "compounds", "/", "jingyuan", "gate", "-", "T", ":", "+", "Z", "now", "24h", "1d", "999999999999", "2026-11-30",
    "'", '"', "{", "}", "[", "]", ": ", "\n", "  ", "- ", "name", "ts", "en", "zh", "timezone", "\x00", "é", "京", "0",
    "1e999", "&a", "*a", "!!python/object:os.system", "cyk_", "read", "http://", "http://[", "//", "\\", "%00", "😀",
])  # fmt: skip
texts = st.text(max_size=80) | st.lists(words, max_size=20).map("".join) | st.text(string.printable, max_size=60)


@pytest.mark.parametrize("name", sorted(TEXTS))
@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_texts(name: str, text: str) -> None:
    with contextlib.suppress(*DECLARED):
        TEXTS[name](text)


@pytest.mark.parametrize("name", sorted(BYTES))
@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_bytes(name: str, data: bytes) -> None:
    with contextlib.suppress(*DECLARED):
        BYTES[name](data)


@given(counts=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 10**9)), max_size=20))
def test_what_we_write_ourselves_is_read_back(counts: list[tuple[int, int]]) -> None:
    text = " ".join(f"{place}:{count}" for place, count in counts)
    assert _parsed(text).size >= 0


def test_no_parser_was_forgotten() -> None:
    """Whatever is called `parse` in the program stands above."""
    folders = ("access", "aggregate", "alarms", "api", "courtyard", "devices", "ingest", "live", "mqtt", "rollups")
    found = {
        path.as_posix()
        for folder in folders
        for path in Path(folder).rglob("*.py")
        if "def parse(" in path.read_text(encoding="utf-8")
    }
    assert found == {
        "aggregate/edges.py", "alarms/rules.py", "alarms/targets.py", "devices/inventory/__init__.py",
        "devices/topics.py", "ingest/workers.py",
    }  # fmt: skip
