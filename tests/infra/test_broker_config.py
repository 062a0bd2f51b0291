"""The broker's shipped configuration, access list and start script, shown on the real mosquitto by what it delivers."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator

import pytest

from access.broker_files import Role
from access.enrolment import Enrolled
from devices.inventory import Inventory
from devices.registry import Registry
from tests.api.world import inventory_of
from tests.infra.mqtt_client import Client, RefusedError
from tests.infra.shipped import API, FOLDER, INGEST, SECRETS, SIMULATORS, Shipped, prepare, run_entrypoint

pytestmark = pytest.mark.services

DENIED = "Not authorized"
MINE = "compounds/jingyuan/gate/jingyuan-gate-01/event"
THEIRS = "compounds/xinyuan/gate/xinyuan-gate-01/event"


@pytest.fixture(scope="module")
def inventory(registry: Registry) -> Inventory:
    return inventory_of(registry)


@pytest.fixture
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    with Shipped(folder=tmp_path_factory.mktemp("shipped")) as service:
        yield service


@pytest.fixture
def gateways(shipped: Shipped, inventory: Inventory) -> tuple[Enrolled, Enrolled]:
    one, other = shipped.enroll(inventory, "jingyuan", "xinyuan", role=Role.GATEWAY)
    return one, other


@pytest.fixture
def ingest(shipped: Shipped) -> Iterator[Client]:
    with shipped.inside("courtyard-ingest", "ingest", INGEST) as client:
        client.subscribe("compounds/#")
        yield client


def test_ingest_receives_what_a_gateway_publishes(
    shipped: Shipped, ingest: Client, gateways: tuple[Enrolled, Enrolled]
) -> None:
    with shipped.device(gateways[0]) as gateway:
        assert gateway.publish(MINE, b'{"n":1}') == "Success"
    assert ingest.expect(1) == [(MINE, b'{"n":1}')]


def test_ingest_receives_by_a_shared_subscription(shipped: Shipped, gateways: tuple[Enrolled, Enrolled]) -> None:
    with shipped.inside("a", "ingest", INGEST) as a, shipped.device(gateways[0]) as gateway:
        a.subscribe("$share/ingest/compounds/#")
        gateway.publish(MINE)
        assert a.expect(1) == [(MINE, b"{}")]


def test_a_gateway_cannot_publish_for_another_compound(
    shipped: Shipped, ingest: Client, gateways: tuple[Enrolled, Enrolled]
) -> None:
    for topic in (THEIRS, "compounds", "elsewhere/jingyuan/x", "jingyuan", "compounds/x/jingyuan/g1/event"):
        # A connection for each: after a refusal mosquitto 2.0.11 drops it at the next packet.
        with shipped.device(gateways[0]) as gateway:
            assert gateway.publish(topic) == DENIED
    with shipped.device(gateways[0]) as gateway:
        assert gateway.publish(MINE, b"mine") == "Success"
    assert ingest.expect(1) == [(MINE, b"mine")]


def test_a_gateway_reads_nothing(shipped: Shipped, ingest: Client, gateways: tuple[Enrolled, Enrolled]) -> None:
    with shipped.device(gateways[0]) as nosy, shipped.device(gateways[1]) as gateway:
        nosy.subscribe("#")
        nosy.subscribe("compounds/#")
        nosy.subscribe("$SYS/#")
        assert gateway.publish(THEIRS) == "Success"
        assert nosy.publish(MINE) == "Success"
        assert {topic for topic, _ in ingest.expect(2)} == {THEIRS, MINE}
        assert nosy.messages == []


def test_the_api_reads_along_and_cannot_publish(
    shipped: Shipped, ingest: Client, gateways: tuple[Enrolled, Enrolled]
) -> None:
    with shipped.inside("api", "api", API) as api, shipped.device(gateways[0]) as gateway:
        api.subscribe("compounds/+/+/+/+")
        gateway.publish(MINE)
        assert [topic for topic, _ in api.expect(1)] == [MINE]
        assert api.publish(MINE) == DENIED
    ingest.expect(1)


def test_ingest_cannot_publish(ingest: Client) -> None:
    assert ingest.publish(MINE) == DENIED


def test_the_simulators_publish_for_everyone_and_read_nothing(shipped: Shipped, ingest: Client) -> None:
    with shipped.inside("sim", "simulators", SIMULATORS) as simulators:
        simulators.subscribe("#")
        assert [simulators.publish(MINE), simulators.publish(THEIRS)] == ["Success", "Success"]
        ingest.expect(2)
        assert simulators.messages == []


@pytest.mark.parametrize("username", ["simulators", "police-court"])
def test_simulated_devices_may_all_that_they_need(
    username: str, shipped: Shipped, ingest: Client, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = FOLDER.parent.parent / "devices" / "inventory" / "fangzhi-road.yaml"
    inventory = Inventory.parse(real.read_text(), registry)
    compound = next(iter(inventory.compounds))
    password, port = SIMULATORS, shipped.port
    if username != "simulators":
        (given,) = shipped.enroll(inventory, compound, role=Role.GATEWAY)
        username, password, port = given.name, given.secret or "", shipped.devices
    summary = tmp_path_factory.mktemp("summary") / "summary.json"
    times = ["--from", "now-10m", "--to", "now", "--speed", "max"]
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *times, "--compounds", compound, "--summary", str(summary)],
        cwd=FOLDER.parent.parent,
        env={
            "PATH": os.environ["PATH"],
            "COURTYARD_MQTT_HOST": "localhost",
            "COURTYARD_MQTT_PORT": str(port),
            "COURTYARD_MQTT_USERNAME": username,
            "COURTYARD_MQTT_PASSWORD": password,
            "COURTYARD_MQTT_CA_FILE": str(shipped.ca),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sent = json.loads(summary.read_text())
    assert sent["acknowledged_total"] == sent["published_total"] > 0
    arrived = ingest.expect(sent["messages_acknowledged"])
    assert all(topic.startswith(f"compounds/{compound}/") for topic, _ in arrived)


@pytest.mark.parametrize("way", ["inside", "devices"])
def test_strangers_are_refused_at_each_way_in(shipped: Shipped, gateways: tuple[Enrolled, Enrolled], way: str) -> None:
    port = shipped.port if way == "inside" else shipped.devices
    secret = gateways[0].secret
    strangers: list[tuple[str | None, str | None]] = [
        (None, None), ("jingyuan", gateways[1].secret), ("jingyuan", ""), ("nobody", secret), ("", ""),
        # Who may come in at one way is nobody at the other.
        ("jingyuan", secret) if way == "inside" else ("ingest", INGEST),
    ]  # fmt: skip
    for username, password in strangers:
        with (
            pytest.raises(RefusedError, match="Not authorized"),
            Client(shipped, "stranger", username, password, port=port, ca=shipped.ca),
        ):
            pass


@pytest.mark.parametrize("way", ["inside", "devices", "certificates"])
def test_nothing_older_than_tls_1_2_is_spoken(shipped: Shipped, way: str) -> None:
    port = {"inside": shipped.port, "devices": shipped.devices, "certificates": shipped.certificates}[way]
    context = ssl.create_default_context(cafile=str(shipped.ca))
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.version() in {"TLSv1.2", "TLSv1.3"}
    old = ssl.create_default_context(cafile=str(shipped.ca))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLS"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
        old.wrap_socket(plain, server_hostname="localhost")


def test_without_their_password_there_are_no_simulators(tmp_path_factory: pytest.TempPathFactory) -> None:
    less = {name: value for name, value in SECRETS.items() if "SIMULATORS" not in name}
    with Shipped(folder=tmp_path_factory.mktemp("less"), secrets=less) as service:
        for password in (SIMULATORS, ""):
            with pytest.raises(RefusedError), service.inside("sim", "simulators", password):
                pass


def test_nothing_is_dropped_while_ingest_is_away_and_the_broker_restarts(
    shipped: Shipped, gateways: tuple[Enrolled, Enrolled]
) -> None:
    with shipped.inside("courtyard-ingest", "ingest", INGEST, session_s=3600) as client:
        client.subscribe("compounds/#")
    wanted = [(MINE, b"%d" % number) for number in range(3000)]  # the default limit of mosquitto is 1,000
    with shipped.device(gateways[0]) as gateway:
        assert set(gateway.publish_all(wanted)) == {"Success"}
    shipped.restart()
    with shipped.inside("courtyard-ingest", "ingest", INGEST, session_s=3600) as client:
        assert client.expect(3000) == wanted


def test_a_retained_status_waits_for_ingest(shipped: Shipped, gateways: tuple[Enrolled, Enrolled]) -> None:
    topic = "compounds/jingyuan/gate/g1/status"
    with shipped.device(gateways[0]) as gateway:
        assert gateway.publish(topic, b"online", retain=True) == "No matching subscribers"
    with shipped.inside("late", "ingest", INGEST) as client:
        client.subscribe("compounds/#")
        assert client.expect(1) == [(topic, b"online")]


def test_a_payload_over_the_limit_harms_nobody_else(
    shipped: Shipped, ingest: Client, gateways: tuple[Enrolled, Enrolled]
) -> None:
    with shipped.device(gateways[0]) as big:
        big._paho.publish(MINE, b" " * (10 << 20), qos=1)
        with shipped.device(gateways[1]) as gateway:
            assert gateway.publish(THEIRS) == "Success"
        assert ingest.expect(1) == [(THEIRS, b"{}")]


def test_the_passwords_are_hashed_and_private(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("passwords")
    prepare(folder)
    assert run_entrypoint(folder, SECRETS).returncode == 0
    path = folder / "run" / "passwords"
    text = path.read_text()
    assert sorted(line.split(":")[0] for line in text.splitlines()) == ["api", "health", "ingest", "simulators"]
    assert all(re.fullmatch(r"[a-z-]+:\$[67]\$.*", line) for line in text.splitlines())
    assert not any(secret in text for secret in SECRETS.values())
    assert path.stat().st_mode & 0o077 == 0


def test_the_health_check_passes_while_the_broker_runs(shipped: Shipped) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(shipped.port),
        "RUN": str(shipped.folder / "run"),
        "CA": str(shipped.ca),
    }

    def healthy() -> bool:
        command = ["/bin/sh", str(FOLDER / "health.sh")]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    assert healthy()
    (shipped.folder / "run" / "passwords.health").write_text("wrong")
    assert not healthy()
    shipped.stop()
    assert not healthy()


def test_the_health_user_reads_the_uptime_and_nothing_else(shipped: Shipped) -> None:
    password = (shipped.folder / "run" / "passwords.health").read_text()
    with shipped.inside("health", "health", password) as client:
        client.subscribe("compounds/#")
        client.subscribe("$SYS/broker/uptime")
        assert client.publish(MINE) == DENIED
        assert {topic for topic, _ in client.expect(1)} == {"$SYS/broker/uptime"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"COURTYARD_MQTT_INGEST_PASSWORD": ""}, "COURTYARD_MQTT_INGEST_PASSWORD is not set"),
        ({"COURTYARD_MQTT_INGEST_PASSWORD": "short"}, "shorter than 16"),
        ({"COURTYARD_MQTT_API_PASSWORD": f"a{API}:x"}, "colon or a space"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_secret_stops_the_start(
    change: dict[str, str], message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bad")
    prepare(folder)
    done = run_entrypoint(folder, {**SECRETS, **change})
    assert done.returncode != 0
    assert message in done.stderr
    assert API not in done.stderr


def test_without_the_list_of_devices_it_says_what_makes_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("none")
    prepare(folder)
    (folder / "broker" / "devices.crl").unlink()
    assert "python -m courtyard certificates" in run_entrypoint(folder, SECRETS).stderr
