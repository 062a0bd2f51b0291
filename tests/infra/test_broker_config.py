"""The broker's shipped configuration, access list and start script, shown on the real mosquitto by what it delivers."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.mqtt_client import Client, RefusedError
from tests.services import Mosquitto, free_port

pytestmark = pytest.mark.services

FOLDER = Path(__file__).resolve().parent.parent.parent / "docker" / "mosquitto"
INGEST, API, JINGYUAN, OTHER, SIMULATORS = ("i" * 24, "a" * 24, "j" * 24, "o" * 24, "s" * 24)
SECRETS = {
    "COURTYARD_MQTT_INGEST_PASSWORD": INGEST,
    "COURTYARD_MQTT_API_PASSWORD": API,
    "COURTYARD_MQTT_SIMULATORS_PASSWORD": SIMULATORS,
    "COURTYARD_MQTT_GATEWAYS": f"jingyuan:{JINGYUAN} other-compound:{OTHER}",
}
DENIED = "Not authorized"
MINE = "compounds/jingyuan/gate/jingyuan-gate-1/event"
THEIRS = "compounds/other-compound/gate/g1/event"


def _run_entrypoint(passwords: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(FOLDER / "entrypoint.sh"), "true"],
        env={"PATH": os.environ["PATH"] + ":/usr/bin:/usr/sbin", "PASSWORDS": str(passwords), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _start(folder: Path, environment: dict[str, str]) -> Mosquitto:
    """The broker with the shipped files; only paths, port and user are this machine's."""
    port = free_port()
    done = _run_entrypoint(folder / "passwords", environment)
    assert done.returncode == 0, done.stderr
    text = (FOLDER / "mosquitto.conf").read_text()
    here = {
        "listener 1883": f"listener {port} 127.0.0.1\nuser {os.environ.get('USER', 'root')}",
        "/run/mosquitto/passwords": str(folder / "passwords"),
        "/mosquitto/config/acl": str(FOLDER / "acl"),
        "/mosquitto/data/": f"{folder}/",
    }
    for shipped, local in here.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, local)
    config = folder / "shipped.conf"
    config.write_text(text)
    return Mosquitto(folder=folder, port=port, config=config).start()


@pytest.fixture
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    service = _start(tmp_path_factory.mktemp("shipped"), SECRETS)
    yield service
    service.stop()


@pytest.fixture
def ingest(shipped: Mosquitto) -> Iterator[Client]:
    with Client(shipped, "courtyard-ingest", "ingest", INGEST) as client:
        client.subscribe("compounds/#")
        yield client


def test_ingest_receives_what_a_gateway_publishes(shipped: Mosquitto, ingest: Client) -> None:
    with Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        assert gateway.publish(MINE, b'{"n":1}') == "Success"
    assert ingest.expect(1) == [(MINE, b'{"n":1}')]


def test_ingest_receives_by_a_shared_subscription(shipped: Mosquitto) -> None:
    with Client(shipped, "a", "ingest", INGEST) as a, Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        a.subscribe("$share/ingest/compounds/#")
        gateway.publish(MINE)
        assert a.expect(1) == [(MINE, b"{}")]


def test_a_gateway_cannot_publish_for_another_compound(shipped: Mosquitto, ingest: Client) -> None:
    for topic in (THEIRS, "compounds", "elsewhere/jingyuan/x", "jingyuan", "compounds/x/jingyuan/g1/event"):
        # A connection for each: after a refusal mosquitto 2.0.11 drops it at the next packet.
        with Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
            assert gateway.publish(topic) == DENIED
    with Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        assert gateway.publish(MINE, b"mine") == "Success"
    assert ingest.expect(1) == [(MINE, b"mine")]


def test_a_gateway_reads_nothing(shipped: Mosquitto, ingest: Client) -> None:
    with (
        Client(shipped, "nosy", "jingyuan", JINGYUAN) as nosy,
        Client(shipped, "gw", "other-compound", OTHER) as gateway,
    ):
        nosy.subscribe("#")
        nosy.subscribe("compounds/#")
        nosy.subscribe("$SYS/#")
        assert gateway.publish(THEIRS) == "Success"
        assert nosy.publish(MINE) == "Success"
        assert {topic for topic, _ in ingest.expect(2)} == {THEIRS, MINE}
        assert nosy.messages == []


def test_the_api_reads_along_and_cannot_publish(shipped: Mosquitto, ingest: Client) -> None:
    with Client(shipped, "api", "api", API) as api, Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        api.subscribe("compounds/+/+/+/+")
        gateway.publish(MINE)
        assert [topic for topic, _ in api.expect(1)] == [MINE]
        assert api.publish(MINE) == DENIED
    ingest.expect(1)


def test_ingest_cannot_publish(ingest: Client) -> None:
    assert ingest.publish(MINE) == DENIED


def test_the_simulators_publish_for_everyone_and_read_nothing(shipped: Mosquitto, ingest: Client) -> None:
    with Client(shipped, "sim", "simulators", SIMULATORS) as simulators:
        simulators.subscribe("#")
        assert [simulators.publish(MINE), simulators.publish(THEIRS)] == ["Success", "Success"]
        ingest.expect(2)
        assert simulators.messages == []


@pytest.mark.parametrize(("username", "password"), [("simulators", SIMULATORS), ("jingyuan", JINGYUAN)])
def test_simulated_devices_may_all_that_they_need(
    username: str, password: str, shipped: Mosquitto, ingest: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    summary = tmp_path_factory.mktemp("summary") / "summary.json"
    times = ["--from", "now-10m", "--to", "now", "--speed", "max"]
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *times, "--compounds", "jingyuan", "--summary", str(summary)],
        cwd=FOLDER.parent.parent,
        env={
            "PATH": os.environ["PATH"],
            "COURTYARD_MQTT_HOST": shipped.host,
            "COURTYARD_MQTT_PORT": str(shipped.port),
            "COURTYARD_MQTT_USERNAME": username,
            "COURTYARD_MQTT_PASSWORD": password,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sent = json.loads(summary.read_text())
    assert sent["acknowledged_total"] == sent["published_total"] > 0
    arrived = ingest.expect(sent["messages_acknowledged"])
    assert all(topic.startswith("compounds/jingyuan/") for topic, _ in arrived)


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), ("jingyuan", OTHER), ("jingyuan", ""), ("nobody", JINGYUAN), ("", "")],
    ids=["anonymous", "wrong password", "empty password", "unknown user", "empty user"],
)
def test_strangers_are_refused(shipped: Mosquitto, username: str | None, password: str | None) -> None:
    with pytest.raises(RefusedError, match="Not authorized"), Client(shipped, "stranger", username, password):
        pass


def test_without_their_password_there_are_no_simulators(tmp_path_factory: pytest.TempPathFactory) -> None:
    less = {name: value for name, value in SECRETS.items() if "SIMULATORS" not in name}
    service = _start(tmp_path_factory.mktemp("less"), less)
    try:
        for password in (SIMULATORS, ""):
            with pytest.raises(RefusedError), Client(service, "sim", "simulators", password):
                pass
    finally:
        service.stop()


def test_nothing_is_dropped_while_ingest_is_away_and_the_broker_restarts(shipped: Mosquitto) -> None:
    with Client(shipped, "courtyard-ingest", "ingest", INGEST, session_s=3600) as client:
        client.subscribe("compounds/#")
    wanted = [(MINE, b"%d" % number) for number in range(3000)]  # the default limit of mosquitto is 1,000
    with Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        assert set(gateway.publish_all(wanted)) == {"Success"}
    shipped.restart()
    with Client(shipped, "courtyard-ingest", "ingest", INGEST, session_s=3600) as client:
        assert client.expect(3000) == wanted


def test_a_retained_status_waits_for_ingest(shipped: Mosquitto) -> None:
    topic = "compounds/jingyuan/gate/g1/status"
    with Client(shipped, "gw", "jingyuan", JINGYUAN) as gateway:
        assert gateway.publish(topic, b"online", retain=True) == "No matching subscribers"
    with Client(shipped, "late", "ingest", INGEST) as client:
        client.subscribe("compounds/#")
        assert client.expect(1) == [(topic, b"online")]


def test_a_payload_over_the_limit_harms_nobody_else(shipped: Mosquitto, ingest: Client) -> None:
    with Client(shipped, "big", "jingyuan", JINGYUAN) as big:
        big._paho.publish(MINE, b" " * (10 << 20), qos=1)
        with Client(shipped, "gw", "other-compound", OTHER) as gateway:
            assert gateway.publish(THEIRS) == "Success"
        assert ingest.expect(1) == [(THEIRS, b"{}")]


def test_the_passwords_are_hashed_and_private(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("passwords") / "passwords"
    assert _run_entrypoint(path, SECRETS).returncode == 0
    text = path.read_text()
    assert sorted(line.split(":")[0] for line in text.splitlines()) == [
        "api",
        "health",
        "ingest",
        "jingyuan",
        "other-compound",
        "simulators",
    ]
    assert all(re.fullmatch(r"[a-z-]+:\$[67]\$.*", line) for line in text.splitlines())
    assert not any(secret in text for secret in (INGEST, JINGYUAN, OTHER, SIMULATORS))
    assert path.stat().st_mode & 0o077 == 0


def test_the_health_check_passes_while_the_broker_runs(shipped: Mosquitto) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(shipped.port),
        "PASSWORDS": str(shipped.folder / "passwords"),
    }

    def healthy() -> bool:
        command = ["/bin/sh", str(FOLDER / "health.sh")]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    assert healthy()
    (shipped.folder / "passwords.health").write_text("wrong")
    assert not healthy()
    shipped.stop()
    assert not healthy()


def test_the_health_user_reads_the_uptime_and_nothing_else(shipped: Mosquitto) -> None:
    password = (shipped.folder / "passwords.health").read_text()
    with Client(shipped, "health", "health", password) as client:
        client.subscribe("compounds/#")
        client.subscribe("$SYS/broker/uptime")
        assert client.publish(MINE) == DENIED
        assert {topic for topic, _ in client.expect(1)} == {"$SYS/broker/uptime"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"COURTYARD_MQTT_INGEST_PASSWORD": ""}, "COURTYARD_MQTT_INGEST_PASSWORD is not set"),
        ({"COURTYARD_MQTT_INGEST_PASSWORD": "short"}, "shorter than 16"),
        ({"COURTYARD_MQTT_GATEWAYS": "jingyuan"}, "write compound:password"),
        ({"COURTYARD_MQTT_GATEWAYS": f"+:{OTHER}"}, "no id of a compound"),
        ({"COURTYARD_MQTT_GATEWAYS": f":{OTHER}"}, "no id of a compound"),
        ({"COURTYARD_MQTT_GATEWAYS": f"a:{OTHER} a:{JINGYUAN}"}, "stands twice"),
        ({"COURTYARD_MQTT_GATEWAYS": f"ingest:{OTHER}"}, "stands twice"),
        ({"COURTYARD_MQTT_GATEWAYS": f"a:{OTHER}:x"}, "colon or a space"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_secret_stops_the_start(
    change: dict[str, str], message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = _run_entrypoint(tmp_path_factory.mktemp("bad") / "passwords", {**SECRETS, **change})
    assert done.returncode != 0
    assert message in done.stderr
    assert OTHER not in done.stderr
