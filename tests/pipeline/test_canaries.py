"""A thousand canaries of each forbidden kind, sent as devices might by mistake; afterwards none is anywhere.

The broker's own file is the one exception: it holds what it queues for ingest until ingest has acknowledged it, and the
blocks of its file until they are written again (docs/security.md).
"""

import base64
import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from scripts.stack import Stack, started, stored
from tests.pipeline.programs import finish

EACH = 1000
WITHIN_S = 90.0
GATE, CAMERA, STATUS = (
    "compounds/jingyuan/gate/jingyuan-gate-01/event",
    "compounds/jingyuan/camera/jingyuan-camera-01/event",
    "compounds/jingyuan/gate/jingyuan-gate-01/status",
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RANDOM = random.Random(8)  # noqa: S311  (the same canaries each time)
RAW = b"zqcanimg"
"""Every image and every template begins so."""

MARKS: Mapping[str, tuple[bytes, ...]] = {
    "field": (b"zq-canary-",),
    "image": (RAW,),
    "base64": (base64.b64encode(RAW)[:10],),
    "embedding": (b"0.7319260",),
    "identity": (b"1101011977",),
    "phone": (b"1391357",),
    "plate": ("京A9Z".encode(), "京a9z".encode(), b"\\u4eacA9Z", b"\\u4eaca9z"),
}


def identity() -> str:
    digits = f"1101011977{RANDOM.randint(1, 12):02d}{RANDOM.randint(1, 28):02d}{RANDOM.randint(0, 999):03d}"
    return digits + "10X98765432"[sum(a * int(b) for a, b in zip(WEIGHTS, digits, strict=True)) % 11]


def vector() -> list[float]:
    return [float(f"0.7319260{RANDOM.randint(10, 99)}"), *(RANDOM.uniform(-1, 1) for _ in range(127))]


def reading(number: int, **more: object) -> dict[str, object]:
    """A pass that would be accepted, and what is too much."""
    now = time.time_ns() // 1_000_000
    return {"ts": now, "seq": number, "event": "pass", "direction": "in", "method": "face", "result": "granted", **more}


def analytic(number: int, name: object) -> dict[str, object]:
    now = time.time_ns() // 1_000_000
    return {"ts": now, "seq": number, "event": "analytic", "type": "crowd", "phase": "begin", "id": name}


def canaries(kind: str) -> Iterator[tuple[str, bytes]]:
    """Topics and payloads, each with what must not be kept, in different places."""
    for number in range(EACH):
        way = number % 5
        blob = RAW + RANDOM.randbytes(300)
        if kind == "field":
            name = ("name", "faceId", "face-image", "ID_CARD", "openid")[way].replace("I", "i" if way == 1 else "I")
            yield GATE, json.dumps(reading(number, **{name.lower(): f"zq-canary-{number}"})).encode()
        elif kind == "image":
            head = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n", b"GIF89a", b"\xff\xd8\xff\xdb", b"RIFFxxxxWEBP")[way]
            yield (GATE, CAMERA)[number % 2], head + blob
        elif kind == "base64":
            text = base64.b64encode(blob).decode()
            texts = (text, f"data:image/jpeg;base64,{text}", text[:44], text.replace("/", "\\/"), text[:64])
            payload = json.dumps(reading(number, extra="@")).replace("@", texts[way])
            yield GATE, payload.encode()
        elif kind == "embedding":
            many = vector()
            extra: object = (many, many[:16], str(many), " ".join(f"{each:.9f}," for each in many), {"v": many})[way]
            yield CAMERA, json.dumps(analytic(number, "a-1") | {"extra": extra}).encode()
        else:
            text = {
                "identity": identity(),
                "phone": f"1391357{RANDOM.randint(0, 9999):04d}",
                "plate": f"京A9Z{RANDOM.randint(100, 999)}",
            }[kind]
            if way == 0:
                yield CAMERA, json.dumps(analytic(number, text.lower())).encode()
            elif way == 1:
                yield GATE, json.dumps(reading(number, note=f"see {text} please"), ensure_ascii=False).encode()
            elif way == 2:
                yield GATE, json.dumps([reading(number), reading(number, **{text: 1})]).encode()
            elif way == 3:
                yield STATUS, json.dumps({"state": "online", "firmware": text}).encode()
            else:
                topic = GATE if kind == "plate" else f"compounds/jingyuan/gate/{text.lower()}/event"
                yield topic, json.dumps(reading(number) | {"direction": text}).encode()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with started(tmp_path / "stack") as found:
        yield found


def publish(stack: Stack, messages: list[tuple[str, bytes]]) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(500)
    client.connect("127.0.0.1", int(stack.environment["COURTYARD_MQTT_PORT"]))
    client.loop_start()
    sent = [client.publish(topic, payload, qos=1) for topic, payload in messages]
    for each in sent:
        each.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def letters(stack: Stack) -> dict[str, int]:
    """Dead letters by reason, as the ledger counts them."""
    headers = {"X-API-Key": stack.environment["COURTYARD_API_KEY"]}
    found: dict[str, int] = {}
    for each in httpx.get(f"{stack.api}/v1/ledger", headers=headers, timeout=30).json()["kinds"]:
        for reason, count in each["dead_lettered"].items():
            found[reason] = found.get(reason, 0) + count
    return found


def test_no_canary_is_anywhere(stack: Stack) -> None:
    kinds = {kind: list(canaries(kind)) for kind in MARKS}
    assert all(len(each) == EACH for each in kinds.values())
    for kind, messages in kinds.items():
        for _, payload in messages:
            assert any(mark in payload for mark in MARKS[kind]), (kind, payload[:200])
    good = [(GATE, json.dumps(reading(10_000_000 + number)).encode()) for number in range(100)]
    messages = list(itertools.chain(*kinds.values(), good))
    RANDOM.shuffle(messages)
    publish(stack, messages)
    end = time.monotonic() + WITHIN_S
    while sum(letters(stack).values()) < EACH * len(MARKS) or stored(stack.bucket)["gate_pass"] < len(good):
        assert time.monotonic() < end, letters(stack)
        time.sleep(0.5)
    time.sleep(3)  # the journal is wiped when ingest has nothing to do
    found = letters(stack)
    assert found["privacy"] + found.get("encoding", 0) == sum(found.values()) == EACH * len(MARKS), found
    # What is stored is what was good, and nothing else.
    assert {name: count for name, count in stored(stack.bucket).items() if count} == {"gate_pass": len(good)}

    marks = [mark for each in MARKS.values() for mark in each]
    for path, content in kept(stack):
        assert not [mark for mark in marks if mark in content], path
    for url, content in told(stack):
        assert not [mark for mark in marks if mark in content], url
    assert queried(stack) == []


def kept(stack: Stack) -> Iterator[tuple[Path, bytes]]:
    """Every file of the installation but the broker's: InfluxDB's engine, spool, dead letters, records, logs."""
    seen = set()
    for path in sorted(stack.folder.rglob("*")):
        if path.is_file() and "mosquitto" not in path.relative_to(stack.folder).parts[0]:
            seen.add(path.suffix)
            yield path, path.read_bytes()
    assert {".wal", ".log", ".db"} <= seen, seen


def told(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """What the API, the commands and the metrics tell."""
    headers = {"X-API-Key": stack.environment["COURTYARD_API_KEY"]}
    with httpx.Client(base_url=stack.api, headers=headers, timeout=60) as client:
        description = client.get("/openapi.json").json()
        for path, operations in description["paths"].items():
            if "get" not in operations or path == "/v1/stream":
                continue
            for device in ("gate", "camera"):
                url = path.format(
                    compound="jingyuan", device=f"jingyuan-{device}-01", alarm=1, window=1, key="x", length="day"
                )
                for query in (
                    "",
                    "?kind=gate&table=pass",
                    "?table=pass&limit=1000",
                    "?table=analytic",
                    "?table=status",
                ):
                    answer = client.get(url + query)
                    yield url + query, answer.content
    yield "metrics", httpx.get(f"http://127.0.0.1:{stack.environment['COURTYARD_METRICS_PORT']}/metrics").content
    for command in (["dead-letters", "list", "--limit", "10000"], ["ledger", "--json"], ["audit", "list"]):
        yield " ".join(command), finish(["courtyard", *command], stack.environment).encode()


def queried(stack: Stack) -> list[str]:
    """Every text that InfluxDB holds, as value or as tag, that one of the canaries might be."""
    texts = "|".join(("zq-canary", "1101011977", "1391357", "京A9Z", "A9Z", "0\\.7319", MARKS["base64"][0].decode()))
    pattern = texts.replace("/", "\\/")
    answer = stack.bucket.query(
        'import "types" import "experimental"'
        f' from(bucket: "{stack.bucket.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
        f' |> filter(fn: (r) => (types.isType(v: r._value, type: "string") and string(v: r._value) =~ /{pattern}/)'
        f" or r.device =~ /{pattern}/ or r.compound =~ /{pattern}/) |> limit(n: 5)"
    )
    return [line for line in answer.splitlines() if line and not line.startswith("#")][1:]


def test_the_query_would_find_one(stack: Stack) -> None:
    """The other test would see a canary: here is one that a device may send, since it is nothing personal."""
    publish(stack, [(CAMERA, json.dumps(analytic(1, "zq-canary-1")).encode())])
    end = time.monotonic() + WITHIN_S
    while not stored(stack.bucket)["camera_analytic"]:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert queried(stack)
    assert any(b"zq-canary-1" in content for _, content in told(stack))
