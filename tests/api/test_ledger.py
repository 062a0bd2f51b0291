"""/v1/ledger: what ingest says, or why it cannot be asked."""

from collections.abc import Iterator

import pytest

from api.app import create_app
from api.errors import LedgerAwayError
from api.ledger import LedgerAnswer, LedgerKind, LedgerRange, LedgerSpool, LedgerStream
from devices.inventory import Inventory
from devices.registry import Registry
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore

ANSWER = LedgerAnswer(
    time="2025-06-01T00:00:00.000+00:00",
    balanced=False,
    faults=["gate: +1 readings received that were neither written nor refused nor received before"],
    missing=3,
    pending=7,
    kinds=[
        LedgerKind(
            kind="gate",
            received=10,
            written=8,
            duplicate=0,
            dead_lettered={"json": 1},
            replayed=0,
            missing=3,
            pending=None,
        )
    ],
    spools=[
        LedgerSpool(
            name="spool.sqlite", running=True, taken=17, settled=10, pending=7, pending_bytes=900, oldest_pending_s=1.5
        )
    ],
    streams=[
        LedgerStream(
            device="jingyuan-gate-01",
            kind="gate",
            compound="jingyuan",
            channel="telemetry",
            boot=None,
            highest_seq=None,
            boots=0,
            missing=3,
            lost=1,
            refused_messages=1,
            ranges=[LedgerRange(boot=7, first=3, last=4)],
        )
    ],
)


class Ledger:
    """A ledger that says what a test has it say, and remembers what it was asked."""

    def __init__(self) -> None:
        """It can be read."""
        self.asked: list[tuple[str | None, int]] = []
        self.failure: LedgerAwayError | None = None

    def __call__(self, device: str | None, limit: int) -> LedgerAnswer:
        """The answer."""
        self.asked.append((device, limit))
        if self.failure is not None:
            raise self.failure
        return ANSWER


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(memory: MemoryStore, registry: Registry, small: Inventory, ledger: Ledger) -> Iterator[Client]:
    with Client(create_app(OPTIONS, small, registry, memory, ledger=ledger, clock=Clock())) as made:
        yield made


def test_the_ledger_is_served(client: Client, ledger: Ledger) -> None:
    answer = client.get("/v1/ledger")
    assert answer.status_code == 200
    assert LedgerAnswer.model_validate(answer.json()) == ANSWER
    client.get("/v1/ledger?device=jingyuan-gate-01&limit=3")
    assert ledger.asked == [(None, 20), ("jingyuan-gate-01", 3)]


def test_it_needs_a_key(memory: MemoryStore, registry: Registry, small: Inventory, ledger: Ledger) -> None:
    with Client(create_app(OPTIONS, small, registry, memory, ledger=ledger, clock=Clock()), key=None) as stranger:
        answer = stranger.get("/v1/ledger")
    assert (answer.status_code, answer.json()["code"], ledger.asked) == (401, "key_missing", [])


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("device=nobody", 404, "unknown_device"),
        ("limit=0", 422, "validation"),
        ("limit=1001", 422, "validation"),
        ("devise=x", 422, "validation"),
        (f"device={'x' * 65}", 422, "validation"),
    ],
)
def test_wrong_questions_are_problems(client: Client, ledger: Ledger, query: str, status: int, code: str) -> None:
    answer = client.get(f"/v1/ledger?{query}")
    assert (answer.status_code, answer.json()["code"], ledger.asked) == (status, code, [])


def test_a_ledger_out_of_reach_is_a_problem_that_says_where_to_ask(own: Client) -> None:
    answer = own.get("/v1/ledger")
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_away")
    assert "python -m courtyard ledger" in answer.json()["detail"]


def test_a_ledger_that_cannot_be_read_is_a_problem(client: Client, ledger: Ledger) -> None:
    ledger.failure = LedgerAwayError("the spool cannot be read")
    answer = client.get("/v1/ledger")
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_away")
    assert answer.headers["retry-after"] == "5"
