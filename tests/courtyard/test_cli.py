"""The command line: secrets, init, doctor and clear errors, run as users run them."""

import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alarms.book import Book
from alarms.standing import Change, Subject, What
from courtyard.secrets_file import write_secrets
from devices.alarms import Severity
from devices.errors import SettingsError
from records.database import Database
from tests.pipeline.programs import KEY, ROOT, environment
from tests.services import Bucket, Influxd, Mosquitto, free_port


def _run(*arguments: str, **settings: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "courtyard", *arguments],
        env=environment(**settings) | {"COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_secrets_fills_what_is_empty_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    made = write_secrets(ROOT / ".env.example", target)
    values = dict(line.split("=", 1) for line in target.read_text().splitlines() if re.match(r"[A-Z_]+=", line))
    assert {"COURTYARD_API_KEY", "COURTYARD_INFLUX_ADMIN_TOKEN"} <= set(made)
    assert all(len(values[name]) == 32 for name in made)
    assert len({values[name] for name in made}) == len(made)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    before = target.read_bytes()
    with pytest.raises(SettingsError, match="left as it is"):
        write_secrets(ROOT / ".env.example", target)
    assert target.read_bytes() == before


def test_init_makes_tokens_that_work_and_may_be_repeated(tmp_path: Path) -> None:
    with Influxd(folder=tmp_path / "influx", set_up=False) as influxd:
        settings = {
            "store": "influx",
            "influx_url": influxd.url,
            "data_dir": tmp_path / "data",
            "influx_admin_password": "only-for-tests",
            "influx_admin_token": "only-for-tests-only-for-tests",
        }
        for _ in range(2):
            status, output = _run("init", **settings)
            assert status == 0, output
        tokens = {name: (tmp_path / "data" / "tokens" / name) for name in ("ingest", "api", "grafana")}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tokens.values())
        assert not any(path.read_text() in output for path in tokens.values())
        reader = Bucket(url=influxd.url, org="courtyard", bucket="courtyard", token=tokens["api"].read_text())
        writer = Bucket(url=influxd.url, org="courtyard", bucket="courtyard", token=tokens["ingest"].read_text())
        writer.write(f"a b=1 {time.time_ns()}")
        assert "courtyard" in reader.query("buckets()")
        with pytest.raises(Exception, match=r"40[13]"):
            reader.write("a b=1 1764000000000000000")


def test_doctor_finds_everything_in_order(tmp_path: Path, mosquitto: Mosquitto) -> None:
    status, output = _run("doctor", data_dir=tmp_path, mqtt_port=mosquitto.port, api_key=KEY, api_port=free_port())
    assert status == 0, output
    assert output.count("✓") == 6
    assert "22 compounds" in output


def test_doctor_says_what_to_do_about_each_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, output = _run(
        "doctor",
        data_dir=tmp_path / "file",
        mqtt_port=free_port(),
        api_port=free_port(),
        store="influx",
        influx_url=f"http://127.0.0.1:{free_port()}",
        influx_token="t",
        inventory=tmp_path / "none.yaml",
    )
    assert status == 1
    assert output.count("✗") == 5, output
    for hint in ("COURTYARD_DATA_DIR", "COURTYARD_MQTT_HOST", "python -m courtyard secrets", "none.yaml"):
        assert hint in output


@pytest.mark.parametrize("command", ["up", "api"])
def test_nobody_serves_without_a_key(command: str, tmp_path: Path) -> None:
    status, output = _run(command, data_dir=tmp_path)
    assert status == 1
    assert "COURTYARD_API_KEY" in output
    assert "Traceback" not in output


def test_help_names_every_command() -> None:
    status, output = _run("--help")
    assert status == 0
    for command in ("demo", "up", "ingest", "api", "init", "secrets", "doctor", "ledger", "dead-letters"):
        assert command in output


def test_alarms_are_listed_and_taken_on_whatever_people_write(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    book = Book(database)
    subjects = [
        (Subject("bin", "full", "jingyuan", "jingyuan-bin-01", "kitchen"), Severity.MAJOR),
        (Subject("", "uplink_down", "shuichang"), Severity.CRITICAL),
        (Subject("bin", "a_rule_that_is_gone", "jingyuan", "jingyuan-bin-02"), Severity.MINOR),
    ]
    book.write([(Change(What.RAISED, subject, 2, 1, "0.97"), grade) for subject, grade in subjects], {}, {})
    database.close()
    status, output = _run("alarms", "list", data_dir=tmp_path)
    assert status == 0, output
    lines = [line.split() for line in output.splitlines()]
    assert [line[1] for line in lines[1:4]] == ["critical", "major", "minor"]
    assert "Compound cut off 小区断网" in output
    assert "a_rule_that_is_gone" in output
    assert "3 of 3 open alarms" in output
    for _, expected in zip(range(2), (0, 1), strict=True):
        status, output = _run("alarms", "acknowledge", "1", "--by", "[/red]Li", "--note", "[bold", data_dir=tmp_path)
        assert status == expected, output
    assert "was acknowledged by [/red]Li already" in output
    status, output = _run("alarms", "list", data_dir=tmp_path)
    assert status == 0, output
    assert "[/red]Li: [bold" in output
