"""What the scripts promise."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.infra.mqtt_client import Client
from tests.services import Bucket, Mosquitto

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.services
def test_services_prints_settings_that_work_and_ends_at_ctrl_c(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("services")
    command = [str(ROOT / "scripts" / "services"), "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(7)]
        given = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        broker = Mosquitto(folder=folder / "unused", port=int(given["COURTYARD_MQTT_PORT"]))
        with Client(broker, "a") as client:
            client.subscribe("x")
            client.publish("x", b"1")
            assert client.expect(1) == [("x", b"1")]
        bucket = Bucket(
            url=given["COURTYARD_INFLUX_URL"],
            org=given["COURTYARD_INFLUX_ORG"],
            bucket=given["COURTYARD_INFLUX_BUCKET"],
            token=given["COURTYARD_INFLUX_TOKEN"],
        )
        bucket.write("m f=1 1700000000000000000")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Ctrl-C ends them" in said


def test_setup_makes_an_environment_once_and_again_after_a_change(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", folder / "scripts")
    (folder / "requirements.txt").write_text("# nothing yet\n")

    def setup() -> str:
        command = [str(folder / "scripts" / "setup")]
        done = subprocess.run(command, env=_without_venv(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "making .venv" in setup()
    assert (folder / ".venv" / "bin" / "python").exists()
    assert setup() == ""
    (folder / "requirements.txt").write_text("# another\n")
    said = setup()
    assert "making .venv" not in said
    assert "requirements.txt is installed" in said


def test_setup_says_so_when_a_package_cannot_be_had(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", folder / "scripts")
    (folder / "requirements.txt").write_text("idna==3.10\n")  # without a hash it is not even looked for
    command = [str(folder / "scripts" / "setup")]
    done = subprocess.run(command, env=_without_venv(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip failed" in done.stderr
    assert "hash" in done.stderr
    assert not (folder / ".venv" / "courtyard-requirements").exists()


def _without_venv() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONHOME", "PYTHON"}}


def test_setup_refuses_what_it_does_not_know() -> None:
    done = subprocess.run([str(ROOT / "scripts" / "setup"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "scripts/setup --dev" in done.stderr


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_hashes_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^--?(index-url|extra-index-url|find-links|i|f)\b", text, re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_the_development_requirements_hold_the_others_at_the_same_versions() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


def test_scripts_can_be_run() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    scripts.append(ROOT / ".ci" / "run")
    assert scripts
    for path in scripts:
        assert path.read_text().startswith("#!/usr/bin/env "), path.name
        assert os.access(path, os.X_OK), path.name
