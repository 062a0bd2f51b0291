"""All uplinks are cut and come back, through the whole stack: an alarm for each compound, and few messages."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from devices.inventory import Inventory
from scripts.stack import Stack, started
from tests.pipeline.programs import get

MOST = 4
RULES = "[{rule: uplink_down, for_s: 2, clear_s: 2}]"
TARGETS = "[{{name: duty, url: 'json://127.0.0.1:{port}/', digest_s: 1, most_per_hour: {most}, language: en}}]"
WITHIN_S = 60.0


@pytest.fixture
def sink() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """A webhook, and what it was told."""
    told: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stack(tmp_path: Path, sink: tuple[int, list[dict[str, str]]]) -> Iterator[Stack]:
    rules, targets = tmp_path / "rules.yaml", tmp_path / "targets.yaml"
    rules.write_text(RULES)
    targets.write_text(TARGETS.format(port=sink[0], most=MOST))
    settings = {"COURTYARD_ALARM_RULES": str(rules), "COURTYARD_ALARM_TARGETS": str(targets)}
    with started(tmp_path / "stack", settings) as found:
        yield found


def say(stack: Stack, inventory: Inventory, state: str, seq: int) -> None:
    """Every device says that it is online or offline."""
    client = paho.Client(CallbackAPIVersion.VERSION2, f"storm-{state}-{seq}", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", int(stack.environment["COURTYARD_MQTT_PORT"]))
    client.loop_start()
    payload = json.dumps({"ts": time.time_ns() // 1_000_000, "seq": seq, "boot": 1, "state": state, "firmware": "1.0"})
    sent = [
        client.publish(f"compounds/{each.compound}/{each.kind}/{each.id}/status", payload, qos=1, retain=True)
        for each in inventory.devices.values()
    ]
    for each in sent:
        each.wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def alarms(stack: Stack, state: str) -> list[dict[str, Any]]:
    found = get(f"{stack.api}/v1/alarms?state={state}&limit=1000", key=stack.environment["COURTYARD_API_KEY"])
    return [] if found is None else list(found["alarms"])


def until(stack: Stack, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + WITHIN_S
    while len(found := alarms(stack, "open")) != number:
        stack.check()
        assert time.monotonic() < deadline, [(each["rule"], each["compound"]) for each in found]
        time.sleep(0.2)
    return found


def test_a_storm(stack: Stack, sink: tuple[int, list[dict[str, str]]], inventory: Inventory) -> None:
    say(stack, inventory, "online", 0)
    time.sleep(5)
    assert alarms(stack, "all") == []
    say(stack, inventory, "offline", 1)
    found = until(stack, len(inventory.compounds))
    assert {(each["rule"], each["compound"]) for each in found} == {
        ("uplink_down", each) for each in inventory.compounds
    }
    say(stack, inventory, "online", 2)
    until(stack, 0)
    time.sleep(3)
    every = alarms(stack, "all")
    assert len(every) == len(inventory.compounds)
    assert all(each["cleared"] is not None for each in every)
    assert 1 <= len(sink[1]) <= MOST
    lines = [line for each in sink[1] for line in each["message"].splitlines()]
    assert sum("raised" in line for line in lines) == len(inventory.compounds)
