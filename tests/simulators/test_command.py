"""The command as people start it, with the real mosquitto."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulators.cli import _warning, app
from simulators.options import FleetOptions
from tests.services import Mosquitto
from tests.simulators.conftest import DAY_MS, HOUR_MS, at
from tests.simulators.listener import Listener, Reading

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = at("2025-11-05T12:00")


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
    return kept | {"COLUMNS": "200"} | more


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulators", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def started(broker: Mosquitto, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "simulators", *arguments]
    address = environment(COURTYARD_MQTT_HOST=broker.host, COURTYARD_MQTT_PORT=str(broker.port))
    process = subprocess.Popen(command, cwd=ROOT, env=address, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.services
@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_the_summary_is_exact_after_a_signal(broker: Mosquitto, tmp_path: Path, with_signal: signal.Signals) -> None:
    summary = tmp_path / "summary.json"
    arguments = ["--from", "now-6h", "--summary", str(summary), "--compounds", "jingyuan,maofang", "--window", "30"]
    with Listener(broker) as listener, started(broker, *arguments) as process:
        listener.until(lambda: len(listener.readings) > 1000)
        process.send_signal(with_signal)
        listener.until(lambda: process.poll() is not None)
        listener.settle()
        assert process.returncode == 0
        told = json.loads(summary.read_text())
        assert told["acknowledged"] == told["published"] == listener.counts()
        assert told["acknowledged_total"] == sum(listener.counts().values()) > 1000
        assert told["last_reading_ms"] == max(reading.body["ts"] for reading in listener.readings)
        assert told["last_reading"].endswith("+00:00")
        assert {reading.body["boot"] for reading in listener.readings} == {told["boot"]}


@pytest.mark.services
@pytest.mark.parametrize(
    ("connections", "offline"),
    [("device", {"bin-01", "camera-01", "camera-02", "charger-01", "gate-01", "locker-01"}), ("compound", {"bin-01"})],
)
def test_the_will_speaks_when_it_is_killed(broker: Mosquitto, connections: str, offline: set[str]) -> None:
    with (
        Listener(broker) as listener,
        started(broker, "--compounds", "shuichang", "--connections", connections) as process,
    ):
        listener.until(lambda: len(listener.readings) >= 6)
        process.send_signal(signal.SIGKILL)

        def wills() -> list[Reading]:
            return [reading for reading in listener.readings if reading.body == {"state": "offline"}]

        listener.until(lambda: len(wills()) >= len(offline))
        listener.settle()
        assert {reading.topic for reading in wills()} == {
            f"compounds/shuichang/{name.rsplit('-', 1)[0]}/shuichang-{name}/status" for name in offline
        }


@pytest.mark.services
def test_history_to_an_end(broker: Mosquitto, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    with Listener(broker) as listener:
        command = ["--from", "2025-11-05T18:00", "--to", "2025-11-05T19:00", "--compounds", "jingyuan", "--batch", "20"]
        address = {"COURTYARD_MQTT_HOST": broker.host, "COURTYARD_MQTT_PORT": str(broker.port)}
        done = run(*command, "--kinds", "gate", "--summary", str(summary), **address)
        assert done.returncode == 0, done.stderr
        listener.settle()
        told = json.loads(summary.read_text())
        assert told["acknowledged"] == told["published"] == listener.counts()
        assert set(told["published"]) == {"gate_telemetry", "gate_pass", "gate_status"}
        assert told["published"]["gate_telemetry"] == 120
        assert "readings acknowledged in" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "'yesterday' is no time; write 2025-11-01T00:00+08:00, now or now-24h"),
        (["--speed", "fast"], "'fast' is no speed; write a number such as 60, or max"),
        (["--compounds", "atlantis"], "unknown compound atlantis; known are"),
        (["--kinds", "fountain"], "unknown kind fountain; known are bin, camera, charger, gate, locker"),
        (["--inventory", "nowhere.yaml"], "the inventory nowhere.yaml cannot be read"),
        (["--inventory", "pyproject.toml"], "the inventory is"),
        (["--batch", "5000"], "--batch must be from 1 to 1000"),
        (["--from", "now", "--to", "now-1h"], "--to lies before --from"),
        (["--ca-file", "nowhere.pem"], "the CA file nowhere.pem cannot be read"),
    ],
)
def test_nonsense_ends_with_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") <= 12  # one line, and where an inventory is wrong what of it
    assert isinstance(done.exception, SystemExit)


def test_help_names_every_option() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in (
        "--inventory", "--from", "--to", "--speed", "--seed", "--connections", "--batch", "--compounds", "--kinds",
        "--host", "--port", "--username", "--password", "--ca-file", "--window", "--summary",
    ):  # fmt: skip
        assert option in done.stdout


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (FleetOptions(start_ms=NOW - DAY_MS), False),
        (FleetOptions(start_ms=NOW), False),
        (FleetOptions(start_ms=NOW - DAY_MS, stop_ms=NOW + 2 * HOUR_MS), True),
        (FleetOptions(start_ms=NOW + 2 * HOUR_MS), True),
        (FleetOptions(start_ms=NOW, speed=1.0), False),
        (FleetOptions(start_ms=NOW + 2 * HOUR_MS, speed=1.0), True),
        (FleetOptions(start_ms=NOW, speed=60.0), True),
        (FleetOptions(start_ms=NOW - 6 * HOUR_MS, stop_ms=NOW - HOUR_MS, speed=60.0), False),
        (FleetOptions(start_ms=NOW - HOUR_MS, stop_ms=NOW + 5 * HOUR_MS, speed=60.0), True),
    ],
)
def test_a_run_into_the_future_is_warned_about(options: FleetOptions, warned: bool) -> None:  # noqa: FBT001  (a case)
    assert (_warning(options, NOW) is not None) == warned


def test_a_warning_says_when() -> None:
    warning = _warning(FleetOptions(start_ms=NOW - 58 * 60_000, speed=60.0), NOW)
    assert warning is not None
    assert warning.startswith("warning: 2 minutes from now the simulated clock will be an hour ahead")
