"""Fuzz the decoders, guided by coverage (Atheris, libFuzzer): `scripts/fuzz --minutes 30`.

Whatever the bytes, a decoder gives what it declares or raises what it declares. Anything else ends the run, and leaves
the bytes in `crash-…`. Where several seconds go into one input, that ends it too. The corpus grows in var/fuzz.
"""

import argparse
import contextlib
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import atheris

with atheris.instrument_imports(include=["devices", "ingest", "mqtt", "live", "api", "access", "courtyard"]):
    from access import tokens
    from api.times import parse_instant
    from devices.errors import CourtyardError, InventoryError
    from devices.inventory import Inventory
    from devices.kind import Channel
    from devices.payloads import MAX_PAYLOAD_BYTES, Schemas
    from devices.privacy import is_personal, is_personal_text, is_personal_topic
    from devices.registry import discover
    from devices.topics import Topic
    from ingest.deadletters import LOOKED_AT_BYTES
    from ingest.decode import Decoder
    from ingest.frame import FrameError, Messages, Spooled, unpack
    from ingest.limit import RateLimit, allowance
    from live.feed import Reader
    from mqtt.packets import MalformedError, Message, scan

_INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
_CORPUS = Path("var/fuzz/corpus")
_NOW_MS = 1_764_000_000_000
_SECONDS = 5

KINDS = discover()
INVENTORY = Inventory.parse(_INVENTORY.read_text(encoding="utf-8"), KINDS)
SCHEMAS = Schemas(KINDS)
DECODER = Decoder(INVENTORY, KINDS, max_future_s=3600, max_age_days=90)
LIVE = Reader(INVENTORY, KINDS)
LIMIT = RateLimit(allowance(INVENTORY, KINDS, 10))
TOPICS = [
    str(Topic(compound=each.compound, kind=each.kind, device=each.id, channel=channel))
    for kind in KINDS
    for each in INVENTORY.of_kind(kind)[:1]
    for channel in Channel
]
ZONE = ZoneInfo("Asia/Shanghai")


def decode(data: bytes) -> None:
    """Messages of one run: some many times over, so that the bulk reader sees them."""
    source = atheris.FuzzedDataProvider(data)
    topic = source.PickValueInList(TOPICS) if source.ConsumeBool() else source.ConsumeUnicodeNoSurrogates(80)
    times = source.PickValueInList([1, 1, 2, 300])
    payload = source.ConsumeBytes(len(data))
    payloads = [payload[:LOOKED_AT_BYTES], b'{"ts": 1764000000000, "seq": 1, "state": "online"}'] * times
    cut = {0: len(payload)} if len(payload) > MAX_PAYLOAD_BYTES else {}
    messages = Messages([topic] * len(payloads), payloads, cut)
    decoded = DECODER.decode([Spooled(1, _NOW_MS, len(messages), messages)])
    told = sum(count for account, count in decoded.counts.items() if account.entry == "received")
    rows = sum(rows.received for rows in decoded.tables) + len(decoded.letters)
    if told != rows:
        raise AssertionError(f"{told} received, {rows} accounted for")
    LIVE.events([Message(topic, payload, 1, False)], _NOW_MS)
    LIMIT.over([topic], [len(payload)], float(len(data)))


def schemas(data: bytes) -> None:
    """One payload for the schema of one channel."""
    keys = list(SCHEMAS)
    with contextlib.suppress(CourtyardError):
        SCHEMAS[keys[data[0] % len(keys)]].validate(data[1:])


def packets(data: bytes) -> None:
    """A stream from a broker."""
    found: list[Message] = []
    with contextlib.suppress(MalformedError):
        scan(data, 0, found, most=100, most_bytes=1 << 20)


def frames(data: bytes) -> None:
    """What lies in a spool."""
    with contextlib.suppress(FrameError):
        unpack(data)


def texts(data: bytes) -> None:
    """Topics, times, keys, and what may be personal."""
    text = data.decode("utf-8", "replace")
    is_personal(data)
    is_personal_text(text)
    is_personal_topic(text)
    tokens.read(text)
    for parse in (lambda: Topic.parse(text), lambda: parse_instant("start", text, now_ns=_NOW_MS * 10**6, tz=ZONE)):
        with contextlib.suppress(CourtyardError):
            parse()


def inventories(data: bytes) -> None:
    """An inventory file."""
    with contextlib.suppress(InventoryError):
        Inventory.parse(data.decode("utf-8", "replace"), KINDS)


TARGETS = (decode, schemas, packets, frames, texts, inventories)


def one(data: bytes) -> None:
    """The first byte chooses the decoder."""
    if len(data) > 1:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="for how long")
    options = parser.parse_args()
    _CORPUS.mkdir(parents=True, exist_ok=True)
    _seed()
    seconds = max(round(options.minutes * 60), 1)
    atheris.Setup([
        sys.argv[0], f"-max_total_time={seconds}", f"-timeout={_SECONDS}", "-rss_limit_mb=4096", "-max_len=20000",
        "-print_final_stats=1", "-artifact_prefix=var/fuzz/", str(_CORPUS),
    ], one)  # fmt: skip
    atheris.Fuzz()


def _seed() -> None:
    """Begin with the golden messages of the tests."""
    golden = Path("tests/golden/decode").glob("*/messages.json")
    for number, path in enumerate(sorted(golden)):
        content = path.read_bytes()[:19_000]
        for target in range(len(TARGETS)):
            (_CORPUS / f"seed-{target}-{number}").write_bytes(bytes([target]) + content)
    reading = b'{"ts": 1764000000000, "seq": 1, "door": "open", "tamper": false, "uptime_s": 1.5}'
    (_CORPUS / "seed-gate").write_bytes(b"\x01\x00" + reading)
    (_CORPUS / "seed-packet").write_bytes(b"\x02\x32\x0d\x00\x03a/b\x00\x01\x00" + b"12345")
    (_CORPUS / "seed-inventory").write_bytes(b"\x05" + _INVENTORY.read_bytes()[:4000])


if __name__ == "__main__":
    main()
