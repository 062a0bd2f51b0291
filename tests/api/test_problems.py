"""Every refusal is a problem+json that says what to send instead, and never tells how we work inside."""

from collections.abc import Iterator

import httpx
import pytest

from access.errors import (
    AccessError,
    ForbiddenError,
    GrantError,
    ThrottledError,
    UnknownKeyError,
    UnknownPersonError,
)
from alarms.errors import AcknowledgedError, UnknownAlarmError, UnknownWindowError
from api.app import create_app
from api.errors import (
    CODES,
    AlarmsAwayError,
    BusyError,
    KeysAwayError,
    LedgerAwayError,
    NotReadyError,
    StreamAwayError,
    status_of,
)
from api.options import ApiOptions
from devices import errors
from devices.inventory import Inventory
from devices.registry import Registry
from live.hub import StreamsFullError
from records.errors import RecordsError
from tests.api.client import KEY, Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore

SECRET = "http://influx.internal:8086 token=abc"
STATS = "/v1/compounds/jingyuan/usage"
DEVICE = "/v1/devices/jingyuan-bin-01"
READINGS = f"{DEVICE}/readings"

REFUSED = [
    ("/v1/compounds/atlantis", 404, "unknown_compound", "/v1/compounds"),
    ("/v1/compounds/atlantis/usage", 404, "unknown_compound", "/v1/compounds"),
    ("/v1/compounds/%00%ff'%3Cb%3E", 404, "unknown_compound", "/v1/compounds"),
    ("/v1/devices/nobody", 404, "unknown_device", "/v1/devices"),
    ("/v1/devices/nobody/readings", 404, "unknown_device", "/v1/devices"),
    ("/v1/devices?compound=atlantis", 404, "unknown_compound", "/v1/compounds"),
    ("/v1/devices?kind=toaster", 400, "unknown_kind", "bin, camera"),
    ("/v1/devices?building=1", 400, "unknown_building", "send compound too"),
    ("/v1/devices?compound=jingyuan&building=99", 400, "unknown_building", "1 to 3"),
    ("/v1/devices?compound=jingyuan&building=", 400, "unknown_building", "1 to 3"),
    ("/v1/devices?limit=0", 422, "validation", "greater than or equal to 1"),
    ("/v1/devices?limit=1001", 422, "validation", "less than or equal to 1000"),
    ("/v1/devices?limit=many", 422, "validation", "integer"),
    ("/v1/devices?limit=" + "9" * 5000, 422, "validation", "integer"),
    ("/v1/devices?offset=-1", 422, "validation", "greater than or equal to 0"),
    ("/v1/devices?state=asleep", 422, "validation", "'online'"),
    ("/v1/devices?colour=red", 422, "validation", "no such parameter"),
    ("/v1/compounds?limit=1", 422, "validation", "no such parameter"),
    (f"{DEVICE}?x=", 422, "validation", "no such parameter"),
    (f"{STATS}?kind=toaster", 400, "unknown_kind", "bin, camera"),
    ("/v1/statistics?kind=toaster", 400, "unknown_kind", "bin, camera"),
    ("/v1/statistics?group=cost", 422, "validation", "'usage'"),
    (f"{STATS}?start=now&stop=-1h", 400, "span_reversed", "send the earlier one as start"),
    (f"{STATS}?start=-401d", 400, "span_too_long", "at most 400"),
    (f"{STATS}?start=yesterday", 400, "time", "write RFC 3339"),
    (f"{STATS}?stop=", 400, "time", "write RFC 3339"),
    (f"{STATS}?every=7m", 400, "query", "15m"),
    (f"{STATS}?every=0h", 400, "query", "15m"),
    (f"{STATS}?every=-1h", 400, "query", "15m"),
    (f"{STATS}?every=", 400, "query", "15m"),
    (f"{STATS}?every=1m&start=-300d", 400, "query", "longer `every`"),
    (f"{STATS}?evrey=1h", 422, "validation", "no such parameter"),
    (f"{READINGS}?start=now&stop=-1h", 400, "span_reversed", "send the earlier one as start"),
    (f"{READINGS}?table=secrets", 400, "unknown_table", "telemetry, status"),
    (f"{READINGS}?fields=fill,face", 400, "unknown_field", "fill, weight_kg"),
    (f"{READINGS}?limit=10001", 422, "validation", "less than or equal to 10000"),
    (f"{READINGS}?order=random", 422, "validation", "'newest'"),
    (f"{READINGS}?cursor=abc", 400, "cursor", "`next` of the page before"),
    ("/v1/nothing", 404, "not_found", "/docs"),
    ("/v1/compounds/", 404, "not_found", "/docs"),
    ("/..%2f..%2fetc/passwd", 404, "not_found", "/docs"),
    ("/favicon.ico", 404, "not_found", "/docs"),
]


def check(answer: httpx.Response, status: int, code: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert body["type"] == f"/docs#{code}"
    assert code in dict(CODES)
    assert body["title"]
    detail = body["detail"]
    assert isinstance(detail, str)
    assert detail
    assert len(detail) < 1000
    return detail


@pytest.mark.parametrize(("url", "status", "code", "says"), REFUSED)
def test_what_cannot_be_answered_says_what_to_send(client: Client, url: str, status: int, code: str, says: str) -> None:
    assert says in check(client.get(url), status, code)


def test_validation_names_each_parameter_and_what_was_sent(client: Client) -> None:
    answer = client.get("/v1/devices?limit=0&offset=x&colour=red")
    check(answer, 422, "validation")
    found = {each["parameter"]: each for each in answer.json()["errors"]}
    assert set(found) == {"limit", "offset", "colour"}
    assert found["limit"]["in"] == "query"
    assert found["limit"]["sent"] == "'0'"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods_are_refused_with_those_allowed(client: Client, method: str) -> None:
    answer = client.request(method, "/v1/compounds")
    check(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "url",
    [
        "/v1/overview", "/v1/compounds/jingyuan", STATS, "/v1/compounds/jingyuan/occupancy",
        "/v1/compounds/jingyuan/availability", "/v1/devices", DEVICE, READINGS, "/v1/reports/day",
    ],
)  # fmt: skip
class TestStoreFails:
    def test_away(self, own: Client, memory: MemoryStore, url: str) -> None:
        memory.failure = errors.StoreUnavailableError(SECRET, retry_after_s=17.2)
        answer = own.get(url)
        assert "18 s" in check(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"] == "18"
        assert "influx.internal" not in answer.text

    def test_away_for_who_knows_how_long(self, own: Client, memory: MemoryStore, url: str) -> None:
        memory.failure = errors.StoreUnavailableError(SECRET)
        assert own.get(url).headers["retry-after"] == "5"

    def test_denied(self, own: Client, memory: MemoryStore, url: str) -> None:
        memory.failure = errors.StoreDeniedError(SECRET)
        answer = own.get(url)
        check(answer, 503, "store_denied")
        assert "retry-after" in answer.headers
        assert "influx.internal" not in answer.text

    def test_a_fault_of_ours(self, own: Client, memory: MemoryStore, url: str) -> None:
        for failure in (errors.StoreRejectedError(SECRET), RuntimeError(SECRET), KeyError(SECRET)):
            memory.failure = failure
            answer = own.get(url)
            check(answer, 500, "internal")
            assert "influx.internal" not in answer.text
            assert "Traceback" not in answer.text


def test_what_needs_no_store_goes_on_without_it(own: Client, memory: MemoryStore) -> None:
    memory.failure = errors.StoreUnavailableError(SECRET)
    for url in ("/health", "/metrics", "/v1/compounds", "/v1/kinds", "/v1/statistics", "/docs"):
        assert own.get(url).status_code == 200


@pytest.fixture
def crowded(memory: MemoryStore, registry: Registry, small: Inventory) -> Iterator[Client]:
    options = ApiOptions(keys=(KEY,), heavy_at_once=1, heavy_wait_s=0.01)
    app = create_app(options, small, registry, memory, clock=Clock())
    assert app.state.service._heavy.acquire(blocking=False)
    with Client(app) as made:
        yield made


def test_too_many_questions_at_once_are_told_to_come_again(crowded: Client) -> None:
    for url in (STATS, READINGS):
        answer = crowded.get(url)
        check(answer, 503, "busy")
        assert answer.headers["retry-after"] == "5"
    assert crowded.get("/v1/compounds/jingyuan").status_code == 200


def test_a_place_is_given_back_whatever_happens(memory: MemoryStore, registry: Registry, small: Inventory) -> None:
    options = ApiOptions(keys=(KEY,), heavy_at_once=1, heavy_wait_s=0.01)
    with Client(create_app(options, small, registry, memory, clock=Clock())) as client:
        for failure in (errors.StoreUnavailableError("away"), RuntimeError("broken"), None):
            memory.failure = failure
            for url in (STATS, f"{STATS}?every=x", READINGS, f"{READINGS}?table=x"):
                assert client.get(url).json().get("code") != "busy"


def test_every_error_of_the_tree_has_a_status() -> None:
    expected = {
        errors.QueryError: 400, errors.NotFoundError: 404, AccessError: 401, BusyError: 503, NotReadyError: 503,
        ForbiddenError: 403, ThrottledError: 429, KeysAwayError: 503, UnknownKeyError: 404, UnknownPersonError: 404,
        GrantError: 400, LedgerAwayError: 503, AlarmsAwayError: 503, StreamAwayError: 503,
            StreamsFullError: 503, RecordsError: 503, AcknowledgedError: 409,
        UnknownAlarmError: 404, UnknownWindowError: 404,
        errors.StoreUnavailableError: 503, errors.StoreDeniedError: 503,
    }  # fmt: skip
    kinds = [errors.CourtyardError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    for kind in kinds:
        error = kind.__new__(kind)
        assert status_of(error) == expected.get(kind, 500), kind


def test_codes_stand_once_and_are_explained(client: Client) -> None:
    names = [code for code, _ in CODES]
    assert len(set(names)) == len(names)
    page = client.get("/docs").text
    assert all(f'id="{name}"' in page for name in names)


def test_options_are_the_limits(memory: MemoryStore, registry: Registry, small: Inventory) -> None:
    options = ApiOptions(keys=(KEY,), max_span_days=2)
    with Client(create_app(options, small, registry, memory, clock=Clock())) as client:
        assert "at most 2" in check(client.get(f"{STATS}?start=-3d"), 400, "span_too_long")
        assert OPTIONS.max_span_days == 400
