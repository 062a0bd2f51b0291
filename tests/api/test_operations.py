"""What operators ask: health, readiness, metrics; and what every answer carries."""

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from jsonschema import Draft202012Validator

from api.app import create_app
from api.errors import CODES
from api.held import Held
from api.service import Service
from devices.errors import StoreDeniedError, StoreUnavailableError
from devices.inventory import Inventory
from devices.registry import Registry
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore


class Ingest:
    """An ingest that says what a test has it say."""

    reasons: Sequence[str] = ()

    def __call__(self) -> Sequence[str]:
        return self.reasons


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


@pytest.fixture
def watched(memory: MemoryStore, registry: Registry, small: Inventory, ingest: Ingest) -> Iterator[Client]:
    with Client(create_app(OPTIONS, small, registry, memory, ingest_health=ingest, clock=Clock()), key=None) as made:
        yield made


def test_alive_whatever_happens(watched: Client, memory: MemoryStore, ingest: Ingest) -> None:
    memory.failure, ingest.reasons = RuntimeError("broken"), ["no broker"]
    answer = watched.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready(watched: Client) -> None:
    answer = watched.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_not_ready_says_why(watched: Client, memory: MemoryStore, ingest: Ingest) -> None:
    memory.failure = StoreUnavailableError("http://influx.internal:8086 is away")
    ingest.reasons = ["ingest waits for the broker"]
    answer = watched.get("/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["reasons"] == ["the store does not answer (store_unavailable)", "ingest waits for the broker"]
    assert "influx.internal" not in answer.text
    memory.failure = StoreDeniedError("token abc is wrong")
    assert "token" not in watched.get("/ready").text
    memory.failure, ingest.reasons = None, []
    assert watched.get("/ready").status_code == 200


def test_a_crowd_asks_the_store_once(memory: MemoryStore, registry: Registry, small: Inventory) -> None:
    options = replace(OPTIONS, hold_s=60.0)
    with Client(create_app(options, small, registry, memory, clock=Clock())) as client:
        for _ in range(20):
            assert client.get("/ready").status_code == 200
        assert memory.pings == 1
        answers = {client.get("/v1/overview").text for _ in range(3)}
        asked = len(memory.reads)
        assert client.get("/v1/overview").text in answers
        assert len(memory.reads) == asked


def test_a_refusal_is_held_too_and_made_anew_afterwards() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise StoreUnavailableError("away")
        return len(made)

    patient, impatient = Held(make, 60.0), Held(lambda: len(made), 0.0)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            patient()
    assert made == [1]
    made.append(1)
    assert impatient() == 2
    made.append(1)
    assert impatient() == 3


def test_metrics_count_by_route_and_never_by_what_was_sent(own: Client) -> None:
    for url in ("/v1/devices/jingyuan-bin-01", "/v1/devices/nobody", "/v1/secret-path", "/health"):
        own.get(url)
    own.request("BREW", "/v1/compounds")
    answer = own.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'requests_total{method="GET",route="/v1/devices/{device}",status="200"} 1.0' in answer.text
    assert 'requests_total{method="GET",route="/v1/devices/{device}",status="404"} 1.0' in answer.text
    assert 'requests_total{method="GET",route="unmatched",status="404"} 1.0' in answer.text
    assert 'method="other"' in answer.text
    assert 'request_seconds_count{route="/health"} 1.0' in answer.text
    assert not re.search("nobody|secret-path|jingyuan|BREW", answer.text)


def test_every_answer_carries_the_security_headers(own: Client, memory: MemoryStore) -> None:
    def check(url: str, status: int) -> None:
        answer = own.get(url)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"

    for url, status in {
        "/docs": 200,
        "/health": 200,
        "/v1/kinds": 200,
        "/v1/x": 404,
        "/v1/kinds?x": 422,
    }.items():
        check(url, status)
    memory.failure = RuntimeError("broken")
    check("/v1/devices", 500)


def test_large_answers_are_compressed_for_those_who_can(own: Client) -> None:
    plain = own.get("/v1/kinds", headers={"Accept-Encoding": "identity"})
    packed = own.get("/v1/kinds", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert len(gzip.compress(plain.content)) < len(plain.content) / 4


def test_what_went_wrong_is_in_the_log(own: Client, memory: MemoryStore, logs: list[dict[str, object]]) -> None:
    memory.failure = StoreUnavailableError("influx is away")
    own.get("/v1/devices")
    memory.failure = RuntimeError("broken")
    own.get("/v1/overview")
    assert [(each["path"], each["error"]) for each in logs] == [
        ("/v1/devices", "influx is away"),
        ("/v1/overview", "RuntimeError"),
    ]
    assert logs[0]["code"] == "store_unavailable"


def test_the_description_is_whole(own: Client) -> None:
    found = own.get("/openapi.json").json()
    assert found["openapi"].startswith("3.")
    problem = found["components"]["schemas"]["Problem"]
    assert set(problem["properties"]["code"]["enum"]) == {code for code, _ in CODES}
    operation = found["paths"]["/v1/compounds/{compound}/usage"]["get"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "404", "422", "429", "500", "503"}
    assert operation["security"] == [{"header": []}, {"bearer": []}]
    assert "security" not in found["paths"]["/health"]["get"]
    assert {each["name"] for each in operation["parameters"]} == {
        "compound", "start", "stop", "every", "kind", "statistic", "building", "device", "compare",
    }  # fmt: skip
    text = json.dumps(found)
    assert "HTTPValidationError" not in text
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert reference in found["components"]["schemas"]


def test_answers_are_as_described(own: Client) -> None:
    found = own.get("/openapi.json").json()
    for path, operations in found["paths"].items():
        if path == "/metrics":
            continue
        method = next(iter(operations))
        for url in (path, path + "?zz=1"):
            answer = own.request(
                method,
                url.format(compound="jingyuan", device="jingyuan-bin-01", alarm=1, window=1, length="day", key="x"),
            )
            described = operations[method]["responses"][str(answer.status_code)]["content"]
            media_type = answer.headers["content-type"].partition(";")[0]
            schema = described[media_type]["schema"]
            body = answer.json() if media_type.endswith("json") else answer.text
            Draft202012Validator({**schema, "components": found["components"]}).validate(body)


class Page(HTMLParser):
    """What a page loads and whether its tags are closed."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("url", ["/docs"])
def test_pages_are_well_formed_and_load_nothing(own: Client, url: str) -> None:
    page = Page()
    page.feed(own.get(url).text)
    assert page.open == []
    assert set(page.loads) <= {"/docs", "/openapi.json"}
    assert not page.tags & {"script", "link", "img", "iframe", "form"}


def test_the_service_answers_without_http(memory: MemoryStore, registry: Registry, small: Inventory) -> None:
    service = Service(OPTIONS, small, registry, memory, clock=Clock())
    found = service.overview().compounds
    assert [each.id for each in found] == list(small.compounds)
    assert all(each.people_inside is not None for each in found)
    service.check_ready()
