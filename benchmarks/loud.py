"""How one device that is far too loud slows the others: `python -m benchmarks.loud [--probes 300]`.

The whole stack runs on the real mosquitto and influxd, with simulated devices of half of the compounds at real time.
Gates of the others are probed, one after the other: from the reading to its row in InfluxDB. First alone, then while
one device sends at 100 times its rate, then while it sends as fast as the broker takes it. Nothing is owed for a
silence here (COURTYARD_DEVICE_CATCH_UP_S=0), so that the limit counts at once.
"""

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console
from rich.progress import track

from courtyard import wiring
from courtyard.settings import load
from scripts.parts import part
from scripts.stack import Stack, started

COMPOUND = "jingyuan"
LOUD = f"{COMPOUND}-charger-01"
WITHIN_S = 30.0
_WARM_S = 10.0
_INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
console = Console()


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=300, help="readings that are timed in each part")
    options = parser.parse_args()
    kinds = wiring.kinds()
    inventory = wiring.load_inventory(_INVENTORY, kinds)
    every_s = kinds["charger"].interval_s / len(inventory.devices[LOUD].parts)
    with contextlib.ExitStack() as context:
        folder = Path(context.enter_context(tempfile.TemporaryDirectory()))
        stack = context.enter_context(started(folder, {"COURTYARD_DEVICE_CATCH_UP_S": "0"}))
        # The gates of every second compound are probed, each once in a few seconds: they keep to their rate.
        names = [name for name in inventory.compounds if name != COMPOUND]
        others, probed = ",".join(names[::2]), names[1::2]
        command = ["-m", "simulators", "--speed", "1", "--compounds", others, "--connections", "device"]
        context.enter_context(part("simulators", command, folder, stack.environment))
        time.sleep(_WARM_S)
        probe = Probe(stack, [each.id for name in probed for each in inventory.compounds[name].of_kind("gate")])
        found = {"alone": probe.timed(options.probes, "alone")}
        for name, pause_s in (("beside 100 times its rate", every_s / 100), ("beside all that the broker takes", 0.0)):
            before = limited(stack)
            with loud(stack, pause_s) as sent:
                time.sleep(_WARM_S)
                found[name] = probe.timed(options.probes, name)
            console.print(f"{name}: {sent[0]:,} readings sent, {limited(stack) - before:,.0f} counted as too many")
    quiet = float(np.quantile(found["alone"], 0.99))
    for name, taken in found.items():
        p50, p99 = np.quantile(taken, [0.5, 0.99])
        console.print(f"{len(taken)} readings of others {name}: median and p99 {p50 / quiet:.2f} and {p99 / quiet:.2f} "
                      "times the p99 alone", soft_wrap=True)  # fmt: skip
    return 0


class Probe:
    """Sends readings of devices, and waits for their rows."""

    def __init__(self, stack: Stack, gates: Sequence[str]) -> None:
        """Speak for some gates."""
        environment = {**stack.environment, "COURTYARD_INFLUX_TOKEN_FILE": str(stack.folder / "courtyard/tokens/api")}
        settings = load(None, **{name[10:].lower(): value for name, value in environment.items() if name in _READ})
        self._store = wiring.open_store(settings, wiring.kinds())
        self._table = wiring.kinds()["gate"].tables["telemetry"]
        self._devices = itertools.cycle(gates)
        self._seq = itertools.count()
        self._client = connected(stack)

    def timed(self, count: int, name: str) -> list[float]:
        """Seconds from each reading to its row."""
        return [self._once() for _ in track(range(count), name, console=Console(stderr=True), transient=True)]

    def _once(self) -> float:
        device, now_ms = next(self._devices), time.time_ns() // 1_000_000
        reading = {"ts": now_ms, "seq": next(self._seq), "door": "closed", "tamper": False, "uptime_s": 1}
        begun = time.monotonic()
        self._client.publish(
            f"compounds/{device.rpartition('-gate-')[0]}/gate/{device}/telemetry", json.dumps(reading), qos=1
        )
        while not len(self._store.latest(self._table, since_ns=now_ms * 1_000_000, devices=(device,), fields=())):
            if time.monotonic() - begun > WITHIN_S:
                raise SystemExit(f"a reading of {device} is not stored within {WITHIN_S:.0f} s")
            time.sleep(0.002)
        taken = time.monotonic() - begun
        time.sleep(0.05)
        return taken


_READ = {f"COURTYARD_{name}" for name in (
    "STORE", "INFLUX_URL", "INFLUX_ORG", "INFLUX_BUCKET", "INFLUX_TOKEN_FILE", "DATA_DIR",
)}  # fmt: skip


@contextlib.contextmanager
def loud(stack: Stack, pause_s: float) -> Iterator[list[int]]:
    """One device that sends a reading after each pause until the block ends; how many it sent."""
    client, ended, sent = connected(stack), threading.Event(), [0]
    reading = {"connector": 1, "state": "Available", "energy_wh": 1.0, "power_w": 0.0, "current_a": 0.0,
               "voltage_v": 230.0, "temp_c": 20.0, "error": "NoError"}  # fmt: skip

    def send() -> None:
        while not ended.wait(pause_s):
            body = {**reading, "ts": time.time_ns() // 1_000_000, "seq": sent[0], "boot": 7}
            client.publish(f"compounds/{COMPOUND}/charger/{LOUD}/telemetry", json.dumps(body), qos=1)
            sent[0] += 1
            while not pause_s and client._out_messages.__len__() > 2000 and not ended.is_set():  # noqa: SLF001
                time.sleep(0.001)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()
        client.loop_stop()
        client.disconnect()


def connected(stack: Stack) -> paho.Client:
    """A client of the stack's broker."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", int(stack.environment["COURTYARD_MQTT_PORT"]))
    client.loop_start()
    return client


def limited(stack: Stack) -> float:
    """How many messages were too many, as ingest counts them."""
    address = f"http://127.0.0.1:{stack.environment['COURTYARD_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:  # nosec B310
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'reason="rate"' in line)


if __name__ == "__main__":
    sys.exit(main())
