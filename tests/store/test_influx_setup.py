"""`courtyard init` on a real InfluxDB: fresh, set up already, and in part."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from devices.errors import StoreDeniedError, StoreRejectedError, StoreUnavailableError
from devices.registry import Registry, discover
from rollups.places import places
from rollups.state import State, read_state, write_state
from store.influx import InfluxOptions, InfluxStore
from store.influx_setup import InfluxSetup, InfluxTokens, provision, rollups_bucket
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
