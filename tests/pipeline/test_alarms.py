"""From a device's message to an alarm that the API serves, through the real broker and store, killed in between."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish
from paho.mqtt.client import MQTTv5

from scripts.stack import Stack, started
from tests.pipeline.programs import finish, get

BIN = "jingyuan-bin-01"
TOPIC = f"compounds/jingyuan/bin/{BIN}"
STREAMS = ("recyclable", "kitchen", "hazardous", "residual")
WITHIN_S = 60.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with started(tmp_path / "stack") as found:
        yield found


class Bin:
    """A device that says what it is told to."""

    def __init__(self, stack: Stack) -> None:
        """Publish to the stack's broker."""
        self._port = int(stack.environment["COURTYARD_MQTT_PORT"])
        self._seq = 0

    def say(self, fill: float) -> None:
        """Report all streams, as they are now."""
        readings = []
        for stream in STREAMS:
            readings.append({
                "ts": time.time_ns() // 1_000_000, "seq": self._seq, "boot": 1, "stream": stream, "fill": fill,
                "weight_kg": 1.0, "temp_c": 20.0, "battery": 0.9, "smoke": False, "tilt": False, "lid": "closed",
            })  # fmt: skip
            self._seq += 1
        publish.single(
            f"{TOPIC}/telemetry", json.dumps(readings), qos=1, hostname="127.0.0.1", port=self._port, protocol=MQTTv5
        )


def alarms(stack: Stack, state: str = "open") -> list[dict[str, Any]]:
    found = get(f"{stack.api}/v1/alarms?device={BIN}&state={state}", key=stack.environment["COURTYARD_API_KEY"])
    listed: list[dict[str, Any]] = [] if found is None else found["alarms"]
    return [each for each in listed if each["rule"] == "full"]


def until(stack: Stack, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + WITHIN_S
    while len(found := alarms(stack)) != number:
        stack.check()
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_a_full_bin_is_told_taken_on_and_cleared_though_the_worker_dies(stack: Stack) -> None:
    device = Bin(stack)
    device.say(0.5)
    device.say(0.97)
    found = until(stack, len(STREAMS))
    assert {(each["severity"], each["value"]) for each in found} == {("major", "0.97")}
    shown = finish(["courtyard", "status", "--url", stack.api], {**stack.environment, "COLUMNS": "200"})
    assert "4 major; 4 of them nobody has taken on" in shown
    assert "balanced" in shown
    key = stack.environment["COURTYARD_API_KEY"]
    request = urllib.request.Request(  # noqa: S310  (loopback)
        f"{stack.api}/v1/alarms/{found[0]['id']}/acknowledge",
        json.dumps({"by": "Li", "note": "on my way"}).encode(),
        {"X-API-Key": key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert json.load(answer)["acknowledged_by"] == "Li"
    stack.alarms.kill()
    device.say(0.98)  # while nobody looks
    device.say(0.1)
    until(stack, 0)
    stack.alarms.kill()
    device.say(0.2)
    time.sleep(3)
    stack.check()
    closed = alarms(stack, "all")
    assert len(closed) == len(STREAMS)
    assert all(each["cleared"] is not None for each in closed)
