"""A device that tries what it may not, against the shipped broker and ingest: counted by what arrives and is stored."""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from access.authority import Authority, Issued
from access.broker_files import Role, User
from access.enrolment import Enrolled, Enrolment, user_of
from access.errors import GrantError
from devices.inventory import Inventory
from devices.kind import STATUS
from devices.registry import Registry
from ingest.options import IngestOptions
from ingest.service import Ingest
from mqtt.options import BrokerOptions
from records.database import Database
from store.duck import DuckStore
from tests.api.world import inventory_of
from tests.infra.mqtt_client import Client, RefusedError
from tests.infra.shipped import INGEST, Shipped

pytestmark = pytest.mark.services

DEVICE, OTHER, FOREIGN = "jingyuan-gate-01", "jingyuan-gate-02", "xinyuan-gate-01"
TOPICS = (
    f"compounds/jingyuan/gate/{OTHER}/telemetry",
    f"compounds/xinyuan/gate/{FOREIGN}/telemetry",
    f"compounds/xinyuan/gate/{DEVICE}/telemetry",
    f"compounds/jingyuan/camera/{DEVICE}/telemetry",
    f"compounds/jingyuan/gate/{DEVICE}/telemetry/more",
    f"compounds/jingyuan/gate/{DEVICE}",
    f"compounds/jingyuan/gate/{DEVICE}/../{OTHER}/telemetry",
    f"/compounds/jingyuan/gate/{OTHER}/telemetry",
    "$SYS/broker/uptime",
    "$share/ingest/compounds/x",
    "elsewhere",
)


@pytest.fixture(scope="module")
def inventory(registry: Registry) -> Inventory:
    return inventory_of(registry)


class World:
    """The broker, ingest on it, and somebody who listens to everything."""

    def __init__(self, shipped: Shipped, store: DuckStore, registry: Registry, everything: Client) -> None:
        """Stand on these."""
        self.shipped, self.store, self.registry, self.everything = shipped, store, registry, everything
        self.sent = itertools.count()

    def payload(self) -> bytes:
        reading = {
            "ts": time.time_ns() // 10**6,
            "seq": next(self.sent),
            "door": "open",
            "tamper": False,
            "uptime_s": 1,
        }
        return json.dumps(reading).encode()

    def rows(self) -> dict[str, int]:
        """Rows of all tables, by device."""
        found: dict[str, int] = {}
        for table in self.registry.tables():
            if table.name != STATUS:
                batch = self.store.latest(table, since_ns=0, fields=())
                for key in batch.keys:
                    found[key.device] = found.get(key.device, 0) + 1
        return found

    def arrived(self) -> set[str]:
        return {topic for topic, _ in self.everything.messages}

    def settle(self, given: Enrolled) -> None:
        """Wait until something that the device may do has come all the way: then nothing before it is under way."""
        topic = f"compounds/jingyuan/gate/{DEVICE}/telemetry"
        payload = self.payload()
        with self.shipped.device(given) as client:
            assert client.publish(topic, payload) in {"Success", "None"}
        end = time.monotonic() + 20
        while (topic, payload) not in self.everything.messages or DEVICE not in self.rows():
            assert time.monotonic() < end
            time.sleep(0.05)

    def check(self) -> None:
        """Nothing has come but what the device may send."""
        assert self.arrived() <= {f"compounds/jingyuan/gate/{DEVICE}/telemetry"}
        assert set(self.rows()) <= {DEVICE}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, inventory: Inventory, registry: Registry) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    with Shipped(folder=folder / "broker-folder") as shipped:
        store = DuckStore(folder / "rows.duckdb", registry.tables())
        broker = BrokerOptions(
            host="localhost", port=shipped.port, username="ingest", password=INGEST, ca_file=shipped.ca
        )
        ingest = Ingest(IngestOptions(spool=folder / "spool.db"), broker, inventory, registry, store)
        ingest.start()
        try:
            end = time.monotonic() + 10
            while not ingest.health().connected:
                assert time.monotonic() < end
                time.sleep(0.05)
            with shipped.inside("everything", "ingest", INGEST) as everything:
                everything.subscribe("compounds/#")
                yield World(shipped, store, registry, everything)
        finally:
            ingest.stop()
            store.close()


def given(world: World, inventory: Inventory, *, certificate: bool) -> Enrolled:
    return world.shipped.enroll(inventory, DEVICE, certificate=certificate)[0]


def attempt(world: World, client: Client, topic: str) -> None:
    """Publish without caring for the answer: it is counted what arrives."""
    try:
        with client as connected:
            for qos in (0, 1, 2) if client.will is None else ():
                connected._paho.publish(topic, world.payload(), qos=qos, retain=qos == 1)
            time.sleep(0.15)
    except (RefusedError, OSError, AttributeError):
        pass


WAYS = [(certificate, old) for certificate in (False, True) for old in (False, True)]
IDS = [f"{'certificate' if each[0] else 'password'}, MQTT {'3.1.1' if each[1] else '5'}" for each in WAYS]


@pytest.mark.parametrize(("certificate", "old"), WAYS, ids=IDS)
def test_foreign_topics(world: World, inventory: Inventory, certificate: bool, old: bool) -> None:  # noqa: FBT001
    mine = given(world, inventory, certificate=certificate)
    for topic in TOPICS:
        attempt(world, world.shipped.device(mine, old=old), topic)
        will = world.shipped.device(mine, old=old, will=(topic, world.payload()))
        attempt(world, will, topic)
    world.settle(mine)
    world.check()


@pytest.mark.parametrize(("certificate", "old"), WAYS, ids=IDS)
def test_listening(world: World, inventory: Inventory, certificate: bool, old: bool) -> None:  # noqa: FBT001
    mine = given(world, inventory, certificate=certificate)
    (gateway,) = world.shipped.enroll(inventory, "xinyuan", role=Role.GATEWAY)
    with world.shipped.device(mine, old=old) as nosy:
        for topic in ("#", "+/#", "compounds/#", "$SYS/#", "$share/ingest/compounds/#", f"compounds/+/+/{DEVICE}/+"):
            nosy._paho.subscribe(topic, qos=1)
        time.sleep(0.3)
        with world.shipped.device(gateway) as other:
            other.publish(f"compounds/xinyuan/gate/{FOREIGN}/telemetry", world.payload(), retain=True)
        time.sleep(1.0)  # $SYS is told each ten seconds; retained at once
        assert nosy.messages == []


@pytest.mark.parametrize(("certificate", "old"), WAYS, ids=IDS)
def test_a_client_id_of_somebody_else(world: World, inventory: Inventory, certificate: bool, old: bool) -> None:  # noqa: FBT001
    mine = given(world, inventory, certificate=certificate)
    (victim,) = world.shipped.enroll(inventory, OTHER)
    topic = f"compounds/jingyuan/gate/{OTHER}/telemetry"
    with world.shipped.device(victim) as connected:
        for name in (OTHER, "courtyard-ingest", "everything"):
            attempt(world, world.shipped.device(mine, name, old=old), topic)
        # The other is still connected, and so are ingest and who listens: nobody was thrown off.
        assert connected._paho.is_connected()
        assert world.everything._paho.is_connected()
        world.settle(mine)
        world.check()
        assert connected.publish(topic, world.payload()) == "Success"
    log = world.shipped.log.read_text()
    assert "already connected, closing old connection" not in log.replace(f"Client {DEVICE} already", "")


def test_wrong_certificates(world: World, inventory: Inventory, tmp_path: Path) -> None:
    mine = given(world, inventory, certificate=True)
    own = Authority.opened(tmp_path / "own")
    made: dict[str, Issued] = {
        "of another authority": own.client(DEVICE),
        "self-signed by the same name": Authority.opened(tmp_path / "same", name="Courtyard").client(DEVICE),
        "ended": Authority.opened(world.shipped.folder / "authority").client(DEVICE, days=-0.02),
        "of a server": Authority.opened(world.shipped.folder / "authority").server([DEVICE]),
    }
    for issued in made.values():
        forged = Enrolled(f"{DEVICE}", mine.topic, None, issued)
        attempt(world, world.shipped.device(forged), f"compounds/jingyuan/gate/{DEVICE}/telemetry")
    # One of this authority for somebody who is not enrolled may connect, and do nothing.
    other = Enrolled(OTHER, "", None, Authority.opened(world.shipped.folder / "authority").client(OTHER))
    attempt(world, world.shipped.device(other), f"compounds/jingyuan/gate/{OTHER}/telemetry")
    nobody = Client(world.shipped, DEVICE, port=world.shipped.certificates, ca=world.shipped.ca)
    attempt(world, nobody, f"compounds/jingyuan/gate/{DEVICE}/telemetry")
    time.sleep(0.5)
    assert world.everything.messages == []
    assert world.rows() == {}
    world.settle(mine)


@pytest.mark.parametrize(("certificate", "old"), WAYS, ids=IDS)
def test_revoked(world: World, inventory: Inventory, certificate: bool, old: bool) -> None:  # noqa: FBT001
    mine = given(world, inventory, certificate=certificate)
    topic = f"compounds/jingyuan/gate/{DEVICE}/telemetry"
    with world.shipped.device(mine, old=old) as connected:
        world.shipped.revoke(DEVICE)
        connected._paho.publish(topic, world.payload(), qos=1)
        time.sleep(0.3)
    attempt(world, world.shipped.device(mine, old=old), topic)
    # Enrolled anew it has another secret; the old one stays refused.
    again = given(world, inventory, certificate=certificate)
    attempt(world, world.shipped.device(mine, old=old), topic)
    assert world.everything.messages == []
    assert world.rows() == {}
    world.settle(again)


def test_the_other_way_to_show_who_it_is_stays_shut(world: World, inventory: Inventory) -> None:
    topic = f"compounds/jingyuan/gate/{DEVICE}/telemetry"
    password = given(world, inventory, certificate=False)
    certificate = given(world, inventory, certificate=True)
    attempt(world, world.shipped.device(password), topic)
    assert world.everything.messages == []
    given(world, inventory, certificate=False)
    attempt(world, world.shipped.device(certificate), topic)
    assert world.everything.messages == []


@pytest.mark.parametrize("name", ["nobody", "courtyard-ingest", "ingest", "jingyuan", "", "#", "+", "a/b"])
def test_who_cannot_be_enrolled(inventory: Inventory, name: str) -> None:
    with pytest.raises(GrantError):
        user_of(inventory, name, Role.DEVICE)


def test_secrets_are_random_and_kept_as_verifiers(inventory: Inventory, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.migrate()
    enrolment = Enrolment(database)
    users: list[User] = [user_of(inventory, each, Role.DEVICE) for each in inventory.devices]
    given = enrolment.enroll(users, now_ns=1)
    secrets = {each.secret for each in given}
    assert len(secrets) == len(users)
    assert all(each is not None and len(each) == 32 for each in secrets)  # 192 bits
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(str(each).encode() in raw for each in secrets)
    database.close()
