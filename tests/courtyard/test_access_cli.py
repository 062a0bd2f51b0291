"""Commands that let in and out, run as users run them; and that no secret they gave out lies on a disk."""

import json
import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from courtyard import wiring
from courtyard.settings import load
from records.schema import AUDIT
from scripts.stack import Stack, started
from tests.pipeline.programs import ROOT, environment


def run(folder: Path, *arguments: str, status: int = 0, said: str | None = None, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "courtyard", *arguments],
        env=environment(data_dir=folder) | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)}, cwd=cwd, input=said,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def test_init_makes_secrets_an_authority_and_what_the_broker_reads(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / ".env.example").write_text((ROOT / ".env.example").read_text())
    data = tmp_path / "data"
    assert "secrets made" in run(data, "init", cwd=folder)
    made = dict(re.findall(r"^([A-Z_]+)=(\S{20,})$", (folder / ".env").read_text(), re.MULTILINE))
    assert {"COURTYARD_API_KEY", "COURTYARD_INFLUX_ADMIN_TOKEN", "COURTYARD_MQTT_INGEST_PASSWORD"} <= set(made)
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    assert (data / "authority" / "ca.key").stat().st_mode & 0o077 == 0
    before = (folder / ".env").read_text(), (data / "authority" / "ca.crt").read_text()
    run(data, "init", cwd=folder)
    assert ((folder / ".env").read_text(), (data / "authority" / "ca.crt").read_text()) == before
    assert sorted(path.name for path in (data / "broker").iterdir()) == [
        "devices.acl", "devices.crl", "devices.passwords",
    ]  # fmt: skip


def test_a_whole_inventory_is_enrolled_and_one_is_revoked(tmp_path: Path) -> None:
    csv = tmp_path / "devices.csv"
    run(tmp_path / "d", "devices", "enroll", "--all", "--out", str(csv))
    assert csv.stat().st_mode & 0o077 == 0
    lines = csv.read_text().splitlines()
    inventory = wiring.load_inventory(load(None).inventory, wiring.kinds())
    assert len(lines) == 1 + len(inventory.devices)
    passwords = {line.split(",")[2] for line in lines[1:]}
    assert len(passwords) == len(inventory.devices)
    kept = (tmp_path / "d" / "broker" / "devices.passwords").read_text()
    assert not any(each in kept for each in passwords)
    one = lines[1].split(",")[0]
    assert run(tmp_path / "d", "devices", "list", "--missing") == ""
    assert "refused from now on" in run(tmp_path / "d", "devices", "revoke", one)
    assert run(tmp_path / "d", "devices", "list", "--missing").split() == [one]
    assert f"user {one}\n" not in (tmp_path / "d" / "broker" / "devices.acl").read_text()
    run(tmp_path / "d", "devices", "revoke", one, status=1)
    assert "it is left as it is" in run(tmp_path / "d", "devices", "enroll", one, "--out", str(csv), status=1)
    assert "there is no device" in run(tmp_path / "d", "devices", "enroll", "nobody", status=1)
    certificates = tmp_path / "certificates"
    run(tmp_path / "d", "devices", "enroll", one, "--certificate", "--out", str(certificates))
    assert sorted(path.name for path in certificates.iterdir()) == [f"{one}.crt", f"{one}.key"]
    whats = [json.loads(line)["what"] for line in run(tmp_path / "d", "audit", "list", "--json").splitlines()]
    assert {"device.enroll", "device.revoke"} <= set(whats)


def test_server_certificates_are_made_once_and_for_new_names_again(tmp_path: Path) -> None:
    asked = ["certificates", "--folder", str(tmp_path / "tls"), "--server", "api=localhost,127.0.0.1,"]
    assert "made" in run(tmp_path / "d", *asked)
    assert "still good" in run(tmp_path / "d", *asked)
    assert "made" in run(tmp_path / "d", *asked[:-1], "api=localhost,courtyard.example")
    assert "made" in run(tmp_path / "d", *asked, "--days-left", "500")
    assert "write NAME=HOST" in run(tmp_path / "d", *asked[:-1], "api", status=1)


def test_one_edited_line_of_the_audit_log_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for name in ("one", "two", "three"):
        run(folder, "keys", "create", name)
    head = run(folder, "audit", "verify").rsplit(" ", 1)[1].strip()
    assert "3 lines hold" in run(folder, "audit", "verify", "--head", head)
    settings = load(None, data_dir=folder)
    with closing(wiring.open_records(settings)) as database, database.begin() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.id == 2).values(who="somebody"))
    assert "line 2 is broken" in run(folder, "audit", "verify", status=1)
    with closing(wiring.open_records(settings)) as database, database.begin() as connection:
        connection.execute(update(AUDIT).where(AUDIT.c.id == 2).values(who="command"))
    with closing(wiring.open_records(settings)) as database, database.begin() as connection:
        connection.execute(AUDIT.delete().where(AUDIT.c.id == 3))
    run(folder, "audit", "verify")  # a line less at the end is not seen by the chain
    assert "none of theirs" in run(folder, "audit", "verify", "--head", head, status=1)


@pytest.mark.services
def test_no_issued_secret_lies_on_a_disk(tmp_path: Path) -> None:
    with started(tmp_path / "stack") as stack:
        secrets = issue(stack)
        use(stack, secrets)
        time.sleep(2)
        texts = [each.encode() for group in secrets.values() for each in group]
        assert len(texts) > 250
        for path in sorted(stack.folder.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                assert not [each for each in texts if each in content], path


def issue(stack: Stack) -> dict[str, list[str]]:
    """Keys, passwords, secrets of all devices."""

    def say(*arguments: str, said: str | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "courtyard", *arguments], env=stack.environment, cwd=ROOT, input=said,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    keys = [say("keys", "create", f"key-{number}", "--scope", "read").strip() for number in range(5)]
    passwords = [f"a-password-of-a-person-{number}" for number in range(3)]
    for number, each in enumerate(passwords):
        say("people", "add", f"person-{number}", "Li Wei", said=each + "\n")
    devices = [line.split(",")[2] for line in say("devices", "enroll", "--all").splitlines()[1:]]
    return {"keys": keys, "passwords": passwords, "devices": devices}


def use(stack: Stack, secrets: dict[str, list[str]]) -> None:
    """Each is used, also wrongly, and shown where it does not belong; cookies are secrets too."""
    with httpx.Client(base_url=stack.api, timeout=30) as client:
        for key in secrets["keys"]:
            assert client.get("/v1/compounds", headers={"X-API-Key": key}).status_code == 200
            client.get("/v1/compounds", headers={"Authorization": f"Bearer {key}"})
        cookies = []
        for number, password in enumerate(secrets["passwords"]):
            answer = client.post("/sign-in", data={"name": f"person-{number}", "key": password})
            assert answer.status_code == 303
            cookies.append(answer.cookies["courtyard_session"])
            client.post("/sign-in", data={"name": f"person-{number}", "key": password + "x"})
    secrets["cookies"] = cookies
