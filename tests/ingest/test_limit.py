"""How much one device may send."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import Reason
from devices.inventory import Inventory
from devices.registry import Registry
from ingest.decode import Decoder
from ingest.frame import Messages, Spooled, pack, unpack
from ingest.ledger import Account, Entry
from ingest.limit import WINDOW_S, RateLimit, allowance, marked
from tests.api.world import inventory_of

GATE = "compounds/jingyuan/gate/jingyuan-gate-01/telemetry"


def limit(catch_up_s: float = 3600.0, allowed: float = 100.0) -> RateLimit:
    return RateLimit(lambda _: allowed, catch_up_s)


def taken(limiter: RateLimit, now: float, count: int, topic: str = "a", size: int = 100) -> int:
    """Send so many messages, one by one; how many pass."""
    return sum(not limiter.over([topic], [size], now) for _ in range(count))


def test_a_device_that_keeps_to_its_rate_is_never_limited() -> None:
    limiter = limit(0)
    for minute in range(100):
        assert taken(limiter, minute * WINDOW_S, 100) == 100


def test_one_that_is_too_loud_is_limited_in_each_window_and_nobody_else() -> None:
    limiter = limit(0)
    for minute in range(5):
        assert taken(limiter, minute * WINDOW_S, 1000) == 100
        assert taken(limiter, minute * WINDOW_S, 100, "b") == 100


def test_the_backlog_of_an_outage_passes_however_fast_it_comes() -> None:
    limiter = limit()
    taken(limiter, 0, 1)
    for minute in range(1, 62):  # past the hour in which nothing is known of it
        assert taken(limiter, minute * WINDOW_S, 100) == 100
    hours = 61 * WINDOW_S + 24 * 3600
    assert taken(limiter, hours, 100_000) == 100_000  # a day of silence is owed a day, and the window's own
    assert taken(limiter, hours + 1, 200_000) < 60_000
    # And after an hour it is owed nothing more.
    for minute in range(1, 62):
        taken(limiter, hours + minute * WINDOW_S, 1)
    assert taken(limiter, hours + 62 * WINDOW_S, 1000) == 99 + 1


def test_nothing_is_known_after_a_start_and_an_hour_later_it_is() -> None:
    limiter = limit()
    assert taken(limiter, 0, 100_000) == 100_000
    passed = [taken(limiter, minute * WINDOW_S, 1000) for minute in range(1, 65)]
    assert set(passed[:59]) == {1000}
    assert set(passed[61:]) == {100}


@pytest.mark.parametrize(("size", "few"), [(100, 100), (512, 100), (6400, 2), (25_600, 0)])
def test_a_large_message_counts_as_the_readings_in_it(size: int, few: int) -> None:
    limiter = limit(0)
    assert taken(limiter, 0, 1000, size=size) == pytest.approx(few, abs=1)


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.sampled_from("abc"), st.sampled_from((10, 512, 600, 6400))), min_size=1, max_size=300
            ),
            st.floats(0, 90),
        ),
        max_size=20,
    ),
    st.sampled_from((0.0, 3600.0)),
)
def test_in_batches_the_same_passes_as_one_by_one(
    sent: list[tuple[list[tuple[str, int]], float]], catch_up_s: float
) -> None:
    together, one_by_one = limit(catch_up_s), limit(catch_up_s)
    now = 0.0
    for batch, later in sent:
        now += later
        topics, sizes = [topic for topic, _ in batch], [size for _, size in batch]
        over = together.over(topics, sizes, now)
        assert over == [place for place, each in enumerate(batch) if one_by_one.over([each[0]], [each[1]], now)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000), st.floats(0, 400)), max_size=60))
def test_as_much_passes_as_is_allowed_and_no_more(sent: list[tuple[str, int, float]]) -> None:
    limiter = limit(0)
    passed: Counter[tuple[str, float | None]] = Counter()
    asked: Counter[tuple[str, float | None]] = Counter()
    now = 0.0
    for topic, count, later in sent:
        now += later
        over = limiter.over([topic] * count, [10] * count, now)
        asked[topic, limiter._begun] += count
        passed[topic, limiter._begun] += count - len(over)
        assert over == list(range(count - len(over), count))
    assert all(passed[window] == min(count, 100) for window, count in asked.items())


def test_what_a_kind_reports_says_what_is_allowed(registry: Registry) -> None:
    inventory = inventory_of(registry)
    allowed = allowance(inventory, registry, 10)
    charger = next(each for each in inventory.devices.values() if each.kind == "charger")
    nominal = WINDOW_S / registry["charger"].interval_s * len(charger.parts)
    assert allowed(f"compounds/jingyuan/charger/{charger.id}/telemetry") == max(60, 10 * nominal)
    assert allowed(GATE.replace("telemetry", "event")) == 300
    assert allowed("nonsense") == allowed("compounds/a/b/c/telemetry") == 60


def test_what_is_too_much_is_counted_and_told_once_for_a_topic(registry: Registry) -> None:
    inventory: Inventory = inventory_of(registry)
    payloads, cut = [b'{"x": 1}'] * 5 + [b""], {5: 0}
    marked([1, 2, 5], payloads, cut, 0)
    topics = [GATE, GATE, GATE, "nonsense", "nonsense", "nonsense"]
    messages = unpack(pack(Messages(topics, payloads, cut)))
    decoder = Decoder(inventory, registry, max_future_s=1, max_age_days=1)
    decoded = decoder.decode([Spooled(1, 1_700_000_000_000, 6, messages)])
    assert decoded.counts[Account(Entry.DEAD_LETTERED, "gate", Reason.RATE)] == 2
    assert decoded.counts[Account(Entry.DEAD_LETTERED, "unknown", Reason.RATE)] == 1
    assert decoded.counts[Account(Entry.RECEIVED, "gate")] == 3
    letters = [each for each in decoded.letters if each.reason is Reason.RATE]
    assert [(each.topic, each.size, each.payload) for each in letters] == [(GATE, 16, None), ("nonsense", 1, None)]
    assert len(decoded.refused) == 3
