"""How soon an alarm follows a reading under load: `python -m benchmarks.alarms [--rate 5000] [--rounds 30]`.

The whole stack runs on the real mosquitto and influxd. Simulated devices of all compounds but one publish so many
readings a second; in that one a bin becomes full and is emptied, again and again. What is measured is the time from its
message to its alarm in the API's answer, and back, beside the same time without that load.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from paho.mqtt import publish
from paho.mqtt.client import MQTTv5
from rich.console import Console
from rich.progress import track

from courtyard import wiring
from scripts.parts import part
from scripts.stack import Stack, started
from tests.pipeline.programs import get

COMPOUND = "jingyuan"
BIN = f"{COMPOUND}-bin-01"
STREAMS = ("recyclable", "kitchen", "hazardous", "residual")
PER_DAY = 437_000
"""Readings of all 22 compounds in a simulated day."""

WITHIN_S = 60.0
_WARM_S = 15.0
_HOURS = 44
"""So long ago simulated time begins: what is older than two days raises nothing."""

_WRITTEN = "courtyard_ingest_readings_written_total"
_INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
console = Console()


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000, help="readings a second beside it")
    parser.add_argument("--rounds", type=int, default=30, help="how often the bin becomes full")
    options = parser.parse_args()
    with contextlib.ExitStack() as context:
        folder = Path(context.enter_context(tempfile.TemporaryDirectory()))
        stack = context.enter_context(started(folder))
        quiet = turns(stack, 0, options.rounds)
        speed = options.rate * 86_400 / PER_DAY
        begin = datetime.now(UTC) - timedelta(hours=_HOURS)
        others = [each for each in wiring.load_inventory(_INVENTORY, wiring.kinds()).compounds if each != COMPOUND]
        command = ["-m", "simulators", "--from", begin.isoformat(), "--speed", f"{speed:g}", "--batch", "20"]
        command += ["--compounds", ",".join(others), "--summary", str(folder / "summary.json")]
        context.enter_context(part("simulators", command, folder, stack.environment))
        time.sleep(_WARM_S)
        before, begun = written(stack), time.monotonic()
        loaded = turns(stack, len(quiet), options.rounds)
        rate = (written(stack) - before) / (time.monotonic() - begun)
    for name, taken in (("alone", quiet), (f"beside {rate:,.0f} readings/s", loaded)):
        p99 = float(np.quantile(taken, 0.99))
        console.print(
            f"{len(taken)} turns {name}: from reading to alarm median {statistics.median(taken):.2f} s, "
            f"p99 {p99:.2f} s, longest {max(taken):.2f} s: {p99 / np.quantile(quiet, 0.99):.1f} times as long as alone"
        )
    return 0


def turns(stack: Stack, first: int, rounds: int) -> list[float]:
    """The bin becomes full and is emptied so often; how long each took to be told, seconds."""
    taken = []
    for number in track(range(2 * rounds), "full and empty ...", console=Console(stderr=True), transient=True):
        taken.append(once(stack, first + number, full=number % 2 == 0))
        stack.check()
    return taken


def once(stack: Stack, number: int, *, full: bool) -> float:
    """Publish one reading of each stream; seconds until the API says what follows."""
    readings = [
        {
            "ts": time.time_ns() // 1_000_000, "seq": number * len(STREAMS) + place, "boot": 1, "stream": stream,
            "fill": 0.97 if full else 0.1, "weight_kg": 1.0, "temp_c": 20.0, "battery": 0.9, "smoke": False,
            "tilt": False, "lid": "closed",
        }
        for place, stream in enumerate(STREAMS)
    ]  # fmt: skip
    begun = time.monotonic()
    publish.single(
        f"compounds/{COMPOUND}/bin/{BIN}/telemetry", json.dumps(readings), qos=1, hostname="127.0.0.1",
        port=int(stack.environment["COURTYARD_MQTT_PORT"]), protocol=MQTTv5,
    )  # fmt: skip
    wanted = len(STREAMS) if full else 0
    while True:
        found = get(f"{stack.api}/v1/alarms?device={BIN}", key=stack.environment["COURTYARD_API_KEY"])
        if found is not None and sum(each["rule"] == "full" for each in found["alarms"]) == wanted:
            return time.monotonic() - begun
        if time.monotonic() - begun > WITHIN_S:
            raise SystemExit(f"no answer within {WITHIN_S:.0f} s; the stack's logs are in {stack.folder}")
        time.sleep(0.05)


def written(stack: Stack) -> float:
    """How many readings ingest has written."""
    address = f"http://127.0.0.1:{stack.environment['COURTYARD_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:  # nosec B310
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(_WRITTEN))


if __name__ == "__main__":
    sys.exit(main())
