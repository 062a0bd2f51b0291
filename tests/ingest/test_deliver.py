"""Delivery: good rows beside bad ones are stored, and a store that is away is waited for."""

import time
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from devices.columns import Batch
from devices.errors import Reason, StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.closing import Closing
from ingest.decode import Decoded, Decoder
from ingest.deliver import Delivery, GaveUpError, WriterState
from ingest.frame import Messages, Spooled
from ingest.ledger import Entry, per_kind, per_reason, unbalanced
from store.duck import DuckStore
from tests.ingest.fleet import Fleet, Sent, identities, stored
from tests.ingest.stores import FailingStore, always

Made = tuple[Decoded, list[Sent], int]


@pytest.fixture
def made(decoder: Decoder, fleet: Fleet) -> Made:
    """300 readings of all kinds, and when they were received."""
    now_ms = time.time_ns() // 1_000_000
    sent = list(fleet.messages(300, since_ms=now_ms - 1000))  # times differ, so that one time is one reading
    messages = Messages([each.topic for each in sent], [each.payload for each in sent])
    return decoder.decode([Spooled(1, now_ms, len(sent), messages)]), sent, now_ms


def delivery(store: FailingStore, closing: Closing | None = None, most_rows: int = 100) -> Delivery:
    return Delivery(store, closing or Closing(), most_rows=most_rows, notice_s=60, observe=lambda _: None)


def holding(unwanted: set[int], *, partial: bool = False) -> Callable[[Sequence[Batch]], Exception | None]:
    """Refuse writes that hold a row of one of these times."""

    def refuse(batches: Sequence[Batch]) -> Exception | None:
        bad = any(at in unwanted for batch in batches for at in batch.time.tolist())
        return StoreRejectedError("field type conflict on power_w", partial=partial) if bad else None

    return refuse


def test_all_is_written_in_writes_of_bounded_size(made: Made, duck: DuckStore, registry: Registry) -> None:
    decoded, sent, _now_ms = made
    store = FailingStore(duck)
    seconds: list[float] = []
    outcome = Delivery(store, Closing(), most_rows=70, notice_s=60, observe=seconds.append).deliver(decoded)
    assert store.writes == [70, 70, 70, 70, 20]
    assert len(seconds) == 5
    assert sorted(stored(duck, registry)) == sorted(identities(sent))
    assert sum(per_kind(outcome.counts, Entry.WRITTEN).values()) == 300
    assert outcome.letters == []
    assert unbalanced(outcome.counts) == {}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("bad", [0, 1, 7, 300])
def test_just_the_bad_rows_become_dead_letters(
    made: Made, duck: DuckStore, registry: Registry, bad: int, *, partial: bool
) -> None:
    decoded, sent, _now_ms = made
    unwanted = {sent[number * 41 % 300].identities[0].time_ns for number in range(bad)}
    store = FailingStore(duck)
    store.refuse = holding(unwanted, partial=partial)
    outcome = delivery(store).deliver(decoded)
    refused = [each for each in sent if each.identities[0].time_ns in unwanted]
    assert sorted(stored(duck, registry)) == sorted(identities(sent) - identities(refused))
    assert {(each.topic, each.reason) for each in outcome.letters} == {
        (each.topic, Reason.STORE_REJECTED) for each in refused
    }
    assert len(outcome.letters) == len(refused)
    assert per_reason(outcome.counts)[Reason.STORE_REJECTED] == len(refused)
    assert unbalanced(outcome.counts) == {}


def test_a_dead_letter_of_the_store_can_be_sent_again(
    made: Made, decoder: Decoder, duck: DuckStore, registry: Registry
) -> None:
    """It holds the one object that was refused, as a payload of its topic, and what the store said."""
    decoded, sent, now_ms = made
    bad = sent[17]
    store = FailingStore(duck)
    store.refuse = holding({bad.identities[0].time_ns})
    (letter,) = delivery(store).deliver(decoded).letters
    assert (letter.topic, letter.message) == (bad.topic, "field type conflict on power_w")
    assert letter.payload is not None
    again = decoder.decode([Spooled(1, now_ms, 1, Messages([letter.topic], [letter.payload]))])
    store.refuse = lambda _: None
    delivery(store).deliver(again)
    assert sorted(stored(duck, registry)) == sorted(identities(sent))


def test_looking_for_one_bad_row_takes_few_writes(made: Made, duck: DuckStore) -> None:
    decoded, sent, _now_ms = made
    store = FailingStore(duck)
    store.refuse = holding({sent[123].identities[0].time_ns})
    delivery(store, most_rows=1000).deliver(decoded)
    assert store.attempts < 40


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (StoreUnavailableError("away"), WriterState.STORE_UNAVAILABLE),
        (StoreDeniedError("401"), WriterState.STORE_DENIED),
        (StoreError("strange"), WriterState.STORE_UNAVAILABLE),
    ],
)
def test_a_store_that_is_away_is_waited_for(
    made: Made, duck: DuckStore, registry: Registry, error: StoreError, state: WriterState
) -> None:
    decoded, sent, _now_ms = made
    store = FailingStore(duck)
    states = []

    def refuse(_: Sequence[Batch]) -> Exception | None:
        states.append(writer.state)
        return error if store.attempts <= 3 else None

    store.refuse = refuse
    writer = delivery(store)
    with capture_logs() as logs:
        outcome = writer.deliver(decoded)
    assert states[1:4] == [state] * 3
    assert writer.state is WriterState.WRITING
    assert sorted(stored(duck, registry)) == sorted(identities(sent))
    assert outcome.letters == []
    # One line for the trouble, however many attempts, and one for its end.
    assert [each["log_level"] for each in logs] == ["error" if state is WriterState.STORE_DENIED else "warning", "info"]
    assert "wait in the spool" in logs[0]["event"]
    assert ("do" in logs[0]) == (state is WriterState.STORE_DENIED)


def test_the_store_says_when_to_come_again(made: Made, duck: DuckStore) -> None:
    decoded, _, _now_ms = made
    store = FailingStore(duck)
    times: list[float] = []

    def refuse(_: Sequence[Batch]) -> Exception | None:
        times.append(time.monotonic())
        return StoreUnavailableError("429", retry_after_s=0.9) if len(times) == 1 else None

    store.refuse = refuse
    delivery(store).deliver(decoded)
    assert times[1] - times[0] >= 0.9


def test_it_gives_up_when_the_time_to_drain_is_over(made: Made, duck: DuckStore) -> None:
    decoded, _, _now_ms = made
    store = FailingStore(duck)
    store.refuse = always(StoreUnavailableError("away", retry_after_s=100))
    closing = Closing()
    closing.ask(0.5)
    began = time.monotonic()
    with pytest.raises(GaveUpError):
        delivery(store, closing).deliver(decoded)
    assert 0.4 < time.monotonic() - began < 3


def test_nothing_to_write_asks_nothing_of_the_store(decoder: Decoder, duck: DuckStore, small: Inventory) -> None:
    store = FailingStore(duck)
    decoded = decoder.decode([Spooled(1, 1, 1, Messages(["nonsense"], [b""]))])
    outcome = delivery(store).deliver(decoded)
    assert store.attempts == 0
    assert len(outcome.letters) == 1
    assert small.devices


def test_a_refused_reading_is_dated_by_its_own_message(decoder: Decoder, duck: DuckStore, fleet: Fleet) -> None:
    now_ms = time.time_ns() // 1_000_000
    sent = list(fleet.messages(2, since_ms=now_ms - 1000))
    batches = [
        Spooled(number, now_ms - 86_400_000 * (1 - number), 1, Messages([each.topic], [each.payload]))
        for number, each in enumerate(sent)
    ]
    store = FailingStore(duck)
    store.refuse = always(StoreRejectedError("no", partial=False))
    letters = delivery(store).deliver(decoder.decode(batches)).letters
    assert sorted(each.time_ms for each in letters) == [now_ms - 86_400_000, now_ms]
