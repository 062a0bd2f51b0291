"""Ingest as its users run it, on the real broker and store, with a load, and the means to hurt each of them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ingest.inspection import Inspection, inspect
from tests.chaos.load import RECORD, Spec
from tests.services import LOOPBACK, Influxd, Mosquitto

ROOT = Path(__file__).resolve().parent.parent.parent
INVENTORY = Path(__file__).resolve().parent / "inventory.yaml"
_STOP_S = 60.0
_PORTS = 20_000, 32_000
_METRIC = re.compile(r"^(courtyard_ingest_[a-z_]+(?:\{[^}]*\})?) ([0-9.eE+-]+|NaN)$", re.MULTILINE)


class ChaosError(Exception):
    """Something did not happen in time, or a process ended that should not have."""


@dataclass(frozen=True)
class Memory:
    """Memory of a process in MB: now, and the most so far."""

    now: float
    most: float


class Process:
    """A Python process of ours with a log."""

    def __init__(self, name: str, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Start it."""
        self.log = folder / f"{name}.log"
        self._name = name
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdout=output,
                stderr=output,
                process_group=0,
            )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.popen.poll() is None

    def check(self) -> None:
        """Raise where it has ended."""
        if not self.running:
            raise ChaosError(f"{self._name} ended with status {self.popen.returncode}: {self.tail()}")

    def end(self, number: signal.Signals = signal.SIGTERM, within_s: float = _STOP_S) -> int:
        """Send a signal and wait; the exit status. What does not end is killed, which is an error."""
        if self.running:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise ChaosError(f"{self._name} did not end within {within_s:.0f} s: {self.tail()}") from None

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.popen.kill()
        self.popen.wait()

    def memory(self) -> Memory:
        """What it takes, as the kernel says."""
        text = Path(f"/proc/{self.popen.pid}/status").read_text()
        found = {
            line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith(("VmRSS", "VmHWM"))
        }
        return Memory(int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024)

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class LoadProcess(Process):
    """The load generator."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        """Start to send."""
        folder.mkdir(parents=True, exist_ok=True)
        spec.save(folder / "spec.json")
        self.folder = folder
        super().__init__("load", ["tests.chaos.load", str(folder / "spec.json"), str(folder)], folder, clean())

    @property
    def messages(self) -> int:
        """How many messages are acknowledged so far."""
        path = self.folder / "acknowledged.bin"
        return path.stat().st_size // RECORD.itemsize if path.exists() else 0

    def finish(self, within_s: float = 300.0) -> dict[str, Any]:
        """Make no new readings, wait until all sent are acknowledged; the load's own figures."""
        status = self.end(within_s=within_s)
        if status:
            raise ChaosError(f"the load ended with status {status}: {self.tail()}")
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """The load's own figures."""
        found: dict[str, Any] = json.loads((self.folder / "load.json").read_text())
        return found

    def acknowledged(self) -> NDArray[np.void]:
        """The acknowledged messages, as `RECORD`."""
        return np.fromfile(self.folder / "acknowledged.bin", RECORD)


class Rig:
    """Broker, store, ingest and load in one folder.

    Attributes:
        folder: data and logs.
        broker: the real mosquitto.
        influxd: the real influxd, or None where the store is DuckDB or one of the caller's.
        settings: more settings of ingest, by their names in the environment.
        ingest: the ingest process, when started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: str = "influx",
        settings: Mapping[str, str] | None = None,
        broker: Mosquitto | None = None,
    ) -> None:
        """Prepare; `with` starts broker and store.

        Args:
            folder: data and logs; made where it is missing.
            store: "influx", "duck", or "none" where the caller points `settings` at a store of its own.
            settings: more settings of ingest (COURTYARD_…), which come before all others.
            broker: a broker with settings of its own.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.store = store
        self.settings = dict(settings or {})
        self.broker = broker or Mosquitto(folder=folder / "mosquitto", port=lasting_port())
        self.influxd = Influxd(folder=folder / "influxd", port=lasting_port()) if store == "influx" else None
        self.metrics_port = lasting_port()
        self.data = folder / "data"
        self._ingest: Process | None = None
        self._loads: list[LoadProcess] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start broker and store."""
        with ExitStack() as stack:
            stack.enter_context(self.broker)
            if self.influxd is not None:
                stack.enter_context(self.influxd)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        for process in [*self._loads, *([self._ingest] if self._ingest else [])]:
            if process.running:
                process.kill()
        self._stack.close()

    @property
    def ingest(self) -> Process:
        """The running ingest."""
        if self._ingest is None:
            raise ChaosError("ingest is not started")
        return self._ingest

    @property
    def spool(self) -> Path:
        """The spool's file."""
        return self.data / "spool.sqlite"

    def environment(self) -> dict[str, str]:
        """What ingest is started with."""
        store = self.influxd.environment() if self.influxd else {"COURTYARD_STORE": "duck"}
        return {
            **clean(),
            **self.broker.environment(),
            **store,
            "COURTYARD_INVENTORY": str(INVENTORY),
            "COURTYARD_DATA_DIR": str(self.data),
            "COURTYARD_METRICS_PORT": str(self.metrics_port),
            **self.settings,
        }

    def start_ingest(self, *, wait: bool = True) -> Process:
        """Start ingest; with `wait`, until it is connected to the broker."""
        self._ingest = Process("ingest", ["courtyard", "ingest"], self.folder, self.environment())
        if wait:
            self.until(lambda: self.metric("connected") == 1, 30, "ingest connects to the broker")
        return self._ingest

    def start_load(self, name: str = "load", **spec: float) -> LoadProcess:
        """Start a load; the arguments are those of `Spec`."""
        values = {"port": self.broker.port, "inventory": str(INVENTORY), **spec}
        load = LoadProcess(Spec(**values), self.folder / name)  # type: ignore[arg-type]  # as Spec has them
        self._loads.append(load)
        return load

    def metrics(self) -> dict[str, float]:
        """Ingest's metrics by name and labels, without the prefix; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {name.removeprefix("courtyard_ingest_"): float(value) for name, value in _METRIC.findall(text)}

    def metric(self, name: str) -> float | None:
        """One metric, or None while ingest does not answer."""
        return self.metrics().get(name)

    def until(self, what: Callable[[], bool], within_s: float, says: str) -> float:
        """Wait until something is so; how long that took in seconds."""
        began = time.monotonic()
        while not what():
            self.ingest.check()
            if time.monotonic() - began > within_s:
                raise ChaosError(f"not within {within_s:.0f} s: {says}. {self.metrics()} {self.ingest.tail()}")
            time.sleep(0.1)
        return time.monotonic() - began

    def until_empty(self, within_s: float = 60.0) -> float:
        """Wait until the spool is empty and stays so; how long that took in seconds."""
        began = time.monotonic()
        quiet = 0
        while quiet < 5:
            self.ingest.check()
            quiet = quiet + 1 if self.metric("spool_messages") == 0 else 0
            if time.monotonic() - began > within_s:
                raise ChaosError(
                    f"the spool is not empty within {within_s:.0f} s: {self.metrics()} {self.ingest.tail()}"
                )
            time.sleep(0.1)
        return time.monotonic() - began - 0.5

    def statement(self) -> dict[str, Any]:
        """What `python -m courtyard ledger --json` says; ingest may run or not."""
        command = [sys.executable, "-m", "courtyard", "ledger", "--json", "--limit", "1000"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False, timeout=_STOP_S
        )
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise ChaosError(f"the ledger ended with status {done.returncode}: {done.stderr}") from None
        return found

    def ledger(self) -> Inspection:
        """The spool's counters and what is pending."""
        return inspect(self.spool)


def lasting_port() -> int:
    """A free TCP port of loopback that stays free while its service is away.

    It is none of those that the system gives to whoever asks for any: another process would get it in the meantime, and
    be taken for the service.
    """
    random = SystemRandom()
    while True:
        port = random.randint(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


def clean() -> dict[str, str]:
    """The environment without any setting of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
