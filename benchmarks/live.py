"""How the API answers many who watch, under load: `python -m benchmarks.live [--rate 5000] [--seconds 60]`.

The whole stack runs on the real mosquitto and influxd. Simulated devices of all compounds but one publish so many
readings a second. Beside them 200 clients read the live stream of a compound each, and 100 viewers look at pages, as
browsers connect them. What is measured, alone and then beside all that: how long the API takes to answer, and how soon
a reading is in the streams.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks._watchers import PROBE
from benchmarks.alarms import PER_DAY, written
from courtyard import wiring
from mqtt.connection import Connection, wait
from mqtt.options import BrokerOptions
from scripts.parts import ROOT, part
from scripts.stack import Stack, started

QUESTIONS = (
    "/v1/overview", "/v1/compounds/{compound}", "/v1/alarms", "/v1/devices?compound={compound}",
    "/v1/compounds/{compound}/occupancy?kind=gate", "/v1/compounds/{compound}/usage?kind=charger&every=1h",
    "/v1/devices/{compound}-bin-01", "/v1/statistics",
)  # fmt: skip
_EVERY_S = 0.05
_PROBE_S = 0.25
_WARM_S = 20.0
_HOURS = 44
_READY_S = 180.0
_INVENTORY = Path("devices/inventory/fangzhi-road.yaml")
console = Console()


@dataclass
class Watchers:
    """The process of those who watch, and what it has said."""

    process: subprocess.Popen[str]
    said: list[dict[str, Any]] = field(default_factory=list)

    def wait_for(self, word: str, within_s: float) -> dict[str, Any]:
        """What was said with a word; ends the benchmark where nothing was in time."""
        end = time.monotonic() + within_s
        while time.monotonic() < end and (self.process.poll() is None or word == "ended"):
            for each in list(self.said):
                if word in each:
                    return each
            time.sleep(0.1)
        raise SystemExit(f"those who watch did not say {word!r}")


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5000, help="readings a second")
    parser.add_argument("--streams", type=int, default=200, help="clients of the live stream")
    parser.add_argument("--viewers", type=int, default=100, help="viewers of pages")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long is measured")
    options = parser.parse_args()
    with contextlib.ExitStack() as context:
        folder = Path(context.enter_context(tempfile.TemporaryDirectory()))
        stack = context.enter_context(started(folder))
        compounds = list(wiring.load_inventory(_INVENTORY, wiring.kinds()).compounds)
        begin = datetime.now(UTC) - timedelta(hours=_HOURS)
        command = [
            "-m",
            "simulators",
            "--from",
            begin.isoformat(),
            "--batch",
            "20",
            "--summary",
            str(folder / "s.json"),
        ]
        command += ["--speed", f"{options.rate * 86_400 / PER_DAY:g}"]
        command += ["--compounds", ",".join(each for each in compounds if each != PROBE)]
        _asked(stack, compounds, 3.0)
        alone = _asked(stack, compounds, options.seconds / 3)
        context.enter_context(part("simulators", command, folder, stack.environment))
        watchers = context.enter_context(_watching(stack, options.streams, options.viewers))
        watchers.wait_for("ready", _READY_S)
        time.sleep(_WARM_S)
        stop, sent = threading.Event(), dict[int, float]()
        probe = threading.Thread(target=_probe, args=(stack, stop, sent))
        probe.start()
        before, begun = written(stack), time.monotonic()
        loaded = _asked(stack, compounds, options.seconds)
        rate = (written(stack) - before) / (time.monotonic() - begun)
        stop.set()
        probe.join()
        time.sleep(2)
        watchers.process.terminate()
        ended = watchers.wait_for("ended", 30)
        stack.check()
        seen = [each for each in watchers.said if "seq" in each]
        delays = [each["at"] - sent[each["seq"]] for each in seen if each["seq"] in sent]
    listening = sum(1 for number in range(options.streams) if compounds[number % len(compounds)] == PROBE)
    missed = len(sent) * listening - len(delays)
    _tell("API alone", alone, alone)
    _tell(f"API beside {rate:,.0f} readings/s, {ended['streams']} streams, {ended['viewers']} viewers", loaded, alone)
    _tell(f"from reading to stream, {listening} streams, {missed} missed", delays, delays)
    for place, question in enumerate(QUESTIONS):
        p50, p99 = (1000 * float(np.quantile(loaded[place :: len(QUESTIONS)], q)) for q in (0.5, 0.99))
        console.print(f"  {question}: median {p50:.0f} ms, p99 {p99:.0f} ms", highlight=False, soft_wrap=True)
    console.print(
        f"{ended['updates']:,} updates of pages, {ended['bytes'] / 1e6:,.0f} MB streamed; faults: {ended['faults']}"
    )
    whole = ended["streams"] == options.streams and ended["viewers"] == options.viewers and not missed
    return 0 if whole and not ended["faults"] else 1


def _tell(what: str, taken: Sequence[float], beside: Sequence[float]) -> None:
    p50, p99 = (float(np.quantile(taken, q)) for q in (0.5, 0.99))
    ratio = p99 / float(np.quantile(beside, 0.99))
    console.print(
        f"{what}: {len(taken)} times, median {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, longest "
        f"{1000 * max(taken):.0f} ms, mean {1000 * statistics.mean(taken):.0f} ms: {ratio:.1f} × the p99 alone",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _asked(stack: Stack, compounds: Sequence[str], seconds: float) -> list[float]:
    """How long the API took to answer each of `QUESTIONS` in turn, seconds."""
    taken: list[float] = []
    end = time.monotonic() + seconds
    headers = {"X-API-Key": stack.environment["COURTYARD_API_KEY"]}
    for number, question in enumerate(itertools.cycle(QUESTIONS)):
        begun = time.monotonic()
        if begun >= end:
            return taken
        address = stack.api + question.format(compound=compounds[number // len(QUESTIONS) % len(compounds)])
        request = urllib.request.Request(address, headers=headers)  # noqa: S310  (the address is ours)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # nosec B310
            answer.read()
        taken.append(time.monotonic() - begun)
        time.sleep(max(_EVERY_S - taken[-1], 0.0))
    return taken


def _probe(stack: Stack, stop: threading.Event, sent: dict[int, float]) -> None:
    """Publish a reading again and again, and note when."""
    options = BrokerOptions(port=int(stack.environment["COURTYARD_MQTT_PORT"]))
    with Connection(options, client_id="probe") as connection:
        for seq in itertools.count():
            reading = {
                "ts": time.time_ns() // 1_000_000, "seq": seq, "boot": 1, "stream": "kitchen", "fill": 0.5,
                "weight_kg": 1.0, "temp_c": 20.0, "battery": 0.9, "smoke": False, "tilt": False, "lid": "closed",
            }  # fmt: skip
            sent[seq] = time.time()
            connection.publish(f"compounds/{PROBE}/bin/{PROBE}-bin-01/telemetry", json.dumps(reading).encode())
            end = time.monotonic() + _PROBE_S
            while (left := end - time.monotonic()) > 0:
                wait([connection], left)
                connection.step()
            if stop.is_set():
                return


@contextmanager
def _watching(stack: Stack, streams: int, viewers: int) -> Iterator[Watchers]:
    command = [sys.executable, "-m", "benchmarks._watchers", stack.api, stack.environment["COURTYARD_API_KEY"]]
    process = subprocess.Popen(
        [*command, str(streams), str(viewers)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(stack.environment)
    )
    watchers = Watchers(process)

    def listen() -> None:
        for line in process.stdout or ():
            watchers.said.append(json.loads(line))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield watchers
    finally:
        process.kill()
        process.wait()
        thread.join(5)


if __name__ == "__main__":
    sys.exit(main())
