from collections.abc import Iterator

import pytest

from api.app import create_app
from api.options import ApiOptions
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.registry import Registry
from tests.api.client import KEY, Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS

OTHER = "another-key-for-tests-0002"
NOT_ASCII = "schlüssel-für-tests-0003"
GUARDED = ("/v1/compounds", "/v1/devices/x", "/v1/compounds/x/usage?start=nonsense&zz=1", "/metrics")


@pytest.fixture
def stranger(registry: Registry, small: Inventory) -> Iterator[Client]:
    options = ApiOptions(keys=(KEY, OTHER, NOT_ASCII))
    with Client(create_app(options, small, registry, MemoryStore(), clock=lambda: NOW_NS), key=None) as made:
        yield made


@pytest.mark.parametrize("url", GUARDED)
def test_without_a_key_nothing_is_told(stranger: Client, url: str) -> None:
    answer = stranger.get(url)
    assert answer.status_code == 401
    assert answer.json()["code"] == "key_missing"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "wrong"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer " + KEY.upper()},
        {"X-API-Key": "\xff\xfe"},
    ],
)
def test_a_wrong_key_is_refused(stranger: Client, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = stranger.get("/v1/compounds", headers=encoded)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_wrong")


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"Basic {KEY}"}, {"Authorization": KEY}, {"Authorization": "Bearer "}, {"X-API-Key": ""}],
)
def test_what_is_no_key_is_no_key(stranger: Client, headers: dict[str, str]) -> None:
    answer = stranger.get("/v1/compounds", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"X-API-Key": OTHER},
        {"X-API-Key": NOT_ASCII},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {OTHER}"},
        {"X-API-Key": KEY, "Authorization": "Bearer of-a-proxy"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
    ],
)
def test_either_header_lets_in(stranger: Client, headers: dict[str, str]) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    assert stranger.get("/v1/compounds", headers=encoded).status_code == 200
    assert stranger.get("/metrics", headers=encoded).status_code == 200


def test_health_ready_and_description_are_open(stranger: Client) -> None:
    for url in ("/health", "/ready", "/docs", "/openapi.json"):
        assert stranger.get(url).status_code == 200


def test_every_described_route_but_two_needs_a_key(stranger: Client) -> None:
    for path, operations in stranger.get("/openapi.json").json()["paths"].items():
        for method in operations:
            answer = stranger.request(
                method,
                path.format(compound="jingyuan", device="jingyuan-bin-01", alarm=1, window=1, length="day", key="x"),
            )
            assert (answer.status_code == 401) == (path not in {"/health", "/ready"})


def test_open_access_asks_for_no_key(registry: Registry, small: Inventory) -> None:
    app = create_app(ApiOptions(open_access=True), small, registry, MemoryStore(), clock=lambda: NOW_NS)
    with Client(app, key=None) as anyone:
        assert anyone.get("/v1/compounds").status_code == 200


def test_options_that_let_nobody_in_or_anybody_are_refused() -> None:
    with pytest.raises(SettingsError, match="COURTYARD_API_KEY"):
        ApiOptions()
    with pytest.raises(SettingsError, match="at least 16"):
        ApiOptions(keys=("short",))
    with pytest.raises(SettingsError, match="1 or more"):
        ApiOptions(open_access=True, max_span_days=0)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(ApiOptions(keys=(KEY,)))
