"""`courtyard init` on a real InfluxDB: fresh, set up already, and in part."""

import dataclasses
import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from access.authority import Authority
from courtyard.server_certificates import renewed
from devices.errors import StoreDeniedError, StoreRejectedError, StoreUnavailableError
from devices.registry import Registry, discover
from rollups.places import places
from rollups.state import State, read_state, write_state
from store.influx import InfluxOptions, InfluxStore
from store.influx_setup import InfluxSetup, InfluxTokens, provision, rollups_bucket
from store.protocol import Query
from tests.api.world import inventory_of
from tests.services import Influxd
from tests.services.process import free_port
from tests.store.samples import START_NS, STOP_NS, sample

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

TABLE = discover()["gate"].tables["pass"]


@pytest.fixture(params=[False, True], ids=["plain tokens", "hashed tokens"])
def fresh(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Influxd]:
    """An influxd as it is after its first start."""
    settings = {"use-hashed-tokens": "true"} if request.param else {}
    with Influxd(folder=tmp_path_factory.mktemp("fresh"), set_up=False, settings=settings) as service:
        yield service


def setup_of(influxd: Influxd, **more: object) -> InfluxSetup:
    setup = InfluxSetup(
        url=influxd.url,
        org="courtyard",
        bucket="readings",
        username="admin",
        password=influxd.password,
        admin_token=influxd.token,
        retention_days=0,
    )
    return dataclasses.replace(setup, **more)  # type: ignore[arg-type]


def store_of(setup: InfluxSetup, token: str) -> InfluxStore:
    return InfluxStore(InfluxOptions(url=setup.url, org=setup.org, bucket=setup.bucket, token=token))


def retention_s(influxd: Influxd, bucket: str) -> int:
    found = json.loads(influxd.request("GET", f"/api/v2/buckets?name={bucket}"))["buckets"][0]
    return sum(rule["everySeconds"] for rule in found["retentionRules"])


def check_rights(setup: InfluxSetup, tokens: InfluxTokens) -> None:
    batch = sample(TABLE, 20)
    rolled = dataclasses.replace(setup, bucket=setup.rollups_bucket)
    for token, may_write in ((tokens.rollups, True), (tokens.api, False), (tokens.grafana, False)):
        store = store_of(rolled, token)
        store.ping()
        if may_write:
            store.write([batch])
        else:
            with pytest.raises(StoreDeniedError):
                store.write([batch])
        store.close()
    store = store_of(rolled, tokens.ingest)
    with pytest.raises(StoreDeniedError):
        store.ping()
    store.close()
    for token, may_write in (
        (tokens.ingest, True),
        (tokens.rollups, False),
        (tokens.api, False),
        (tokens.grafana, False),
    ):
        store = store_of(setup, token)
        try:
            store.ping()
            if may_write:
                store.write([batch])
            else:
                with pytest.raises(StoreDeniedError):
                    store.write([batch])
            assert store.count(TABLE, start_ns=START_NS, stop_ns=STOP_NS) == 20
        finally:
            store.close()


def test_a_fresh_one_is_set_up(fresh: Influxd) -> None:
    setup = setup_of(fresh)
    tokens = provision(setup)
    assert len({tokens.ingest, tokens.rollups, tokens.api, tokens.grafana, fresh.token}) == 5
    assert all(token not in repr(tokens) + repr(setup) for token in dataclasses.astuple(tokens))
    assert fresh.token not in repr(setup)
    check_rights(setup, tokens)
    again = provision(setup)  # where only hashes are kept the tokens are new, and work as well
    check_rights(setup, again)
    listed = json.loads(fresh.request("GET", "/api/v2/authorizations"))["authorizations"]
    assert sorted(each["description"] for each in listed if each["description"].startswith("courtyard ")) == [
        f"courtyard {name} (readings)" for name in ("api", "grafana", "ingest", "rollups")
    ]
    if not fresh.settings:
        assert again == tokens


def test_what_is_there_is_kept_and_what_is_missing_added(influxd: Influxd) -> None:
    setup = setup_of(influxd, bucket="second", retention_days=7)
    tokens = provision(setup)
    assert retention_s(influxd, "second") == 7 * 86_400
    assert retention_s(influxd, "second_rollups") == 0
    store = store_of(setup, tokens.api)
    store.ping()
    store.close()
    longer = dataclasses.replace(setup, retention_days=90)
    assert provision(longer) == tokens
    assert retention_s(influxd, "second") == 90 * 86_400
    assert provision(dataclasses.replace(setup, retention_days=0)) == tokens
    assert retention_s(influxd, "second") == 0
    other = provision(dataclasses.replace(setup, bucket="third"))
    assert not set(dataclasses.astuple(other)) & set(dataclasses.astuple(tokens))
    influxd.delete_bucket("second")
    influxd.delete_bucket("third")


def test_another_organisation_is_made(influxd: Influxd) -> None:
    setup = setup_of(influxd, org="elsewhere", bucket="readings-elsewhere")
    check_rights(setup, provision(setup))


def test_tokens_with_other_rights_are_replaced(influxd: Influxd) -> None:
    setup = setup_of(influxd, bucket="replaced")
    old = provision(setup)
    influxd.delete_bucket("replaced")  # the next one has another id, for which the old tokens have no rights
    new = provision(setup)
    assert not set(dataclasses.astuple(new)) & set(dataclasses.astuple(old))
    check_rights(setup, new)
    influxd.delete_bucket("replaced")


def test_a_wrong_admin_token_is_denied(influxd: Influxd) -> None:
    with pytest.raises(StoreDeniedError, match="401"):
        provision(setup_of(influxd, admin_token="wrong"))


def test_a_password_that_influx_refuses(fresh: Influxd) -> None:
    with pytest.raises(StoreRejectedError, match=r"passw|character"):
        provision(setup_of(fresh, password="short"))


def test_nobody_there() -> None:
    with pytest.raises(StoreUnavailableError, match="could not be set up"):
        provision(
            InfluxSetup(
                url=f"http://127.0.0.1:{free_port()}", org="o", bucket="b", username="u", password="p", admin_token="t"
            )
        )


def test_rollups_that_are_not_kept_for_ever_still_say_how_far_they_are(fresh: Influxd, registry: Registry) -> None:
    """InfluxDB refuses points of a past that it no longer keeps; what is about no time must not lie there."""
    kind = registry["bin"]
    tokens = provision(setup_of(fresh, rollups_days=100))
    options = InfluxOptions(
        url=fresh.url, org=fresh.org, bucket=rollups_bucket(fresh.bucket), token=tokens.rollups, timeout_s=30
    )
    with closing(InfluxStore(options)) as store:
        state = State(900 * 10**9, 1800 * 10**9, "partials", "figures")
        write_state(store, kind, state)
        store.write([places(inventory_of(registry))])
        assert read_state(store, kind) == state


def test_tokens_that_are_still_known_are_kept(fresh: Influxd) -> None:
    setup = setup_of(fresh)
    made = provision(setup)
    held = {name: getattr(made, name) for name in ("ingest", "rollups", "api", "grafana")}
    # What runs with them goes on, also where InfluxDB keeps only their hashes.
    assert provision(dataclasses.replace(setup, held=held)) == made
    stale = provision(dataclasses.replace(setup, held={**held, "api": "made-up-made-up-made-up"}))
    assert stale.ingest == made.ingest
    with closing(store_of(setup, stale.api)) as store:
        store.ping()


def test_only_who_may_write_can_delete(fresh: Influxd) -> None:
    setup = setup_of(fresh)
    made = provision(setup)
    with closing(store_of(setup, made.ingest)) as ingest:
        ingest.write([sample(TABLE)])
        for token in (made.api, made.grafana, made.rollups):
            with closing(store_of(setup, token)) as store, pytest.raises(StoreDeniedError):
                store.delete(TABLE, stop_ns=STOP_NS)
        assert ingest.count(TABLE, start_ns=START_NS, stop_ns=STOP_NS) == len(sample(TABLE))
        ingest.delete(TABLE, stop_ns=STOP_NS)
        assert ingest.count(TABLE, start_ns=START_NS, stop_ns=STOP_NS) == 0


class TlsInfluxd(Influxd):
    """An influxd that speaks TLS alone."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://localhost:{self.port}"

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.folder / "tls" / "ca.crt")
        try:
            with urllib.request.urlopen(f"{self.url}/health", context=context, timeout=2) as answer:  # noqa: S310
                return bool(json.load(answer)["status"] == "pass")
        except OSError:
            return False


def test_over_tls_with_the_installations_authority(tmp_path: Path) -> None:
    renewed(Authority.opened(tmp_path / "authority"), tmp_path / "tls", ["localhost"], days_left=1)
    settings = {
        "tls-cert": str(tmp_path / "tls" / "server.crt"), "tls-key": str(tmp_path / "tls" / "server.key"),
        "tls-min-version": "1.2", "tls-strict-ciphers": "true", "use-hashed-tokens": "true",
    }  # fmt: skip
    with TlsInfluxd(folder=tmp_path, set_up=False, settings=settings) as influxd:
        setup = dataclasses.replace(setup_of(influxd), ca_file=tmp_path / "tls" / "ca.crt")
        made = provision(setup)
        options = InfluxOptions(url=setup.url, org=setup.org, bucket=setup.bucket, token=made.ingest)
        with closing(InfluxStore(dataclasses.replace(options, ca_file=setup.ca_file))) as store:
            store.write([sample(TABLE)])
            assert store.count(TABLE, start_ns=START_NS, stop_ns=STOP_NS) == len(sample(TABLE))
            few = Query(table=TABLE, start_ns=START_NS, stop_ns=STOP_NS, few=True)
            assert len(store.read(few)) == len(sample(TABLE))
        # Nobody vouches for it elsewhere.
        with closing(InfluxStore(options)) as store, pytest.raises(StoreUnavailableError):
            store.ping()
