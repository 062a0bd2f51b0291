"""Served statistics are what the core makes of all rows at once, however they are cut, read and asked for."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import nan
from typing import Any

import numpy as np
import pytest

from aggregate.edges import Every, bucket_edges
from aggregate.evaluate import evaluate
from api.app import create_app
from api.rows import finite
from devices.availability import statistics_of
from devices.inventory import Inventory
from devices.kind import Kind, Part
from devices.registry import Registry
from devices.statistics import Group
from rollups import pieces
from store.protocol import Query
from tests.api.client import Client
from tests.api.conftest import OPTIONS, Clock
from tests.api.memory_store import MemoryStore
from tests.api.world import DAY_S, NOW_NS, NS_PER_S, batches, inventory_of, zone

HOUR_NS = 3600 * NS_PER_S


def ask(client: Client, group: str, query: str = "", compound: str = "jingyuan") -> Any:  # noqa: ANN401  (JSON)
    answer = client.get(f"/v1/compounds/{compound}/{group}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def lines(answer: Mapping[str, Any]) -> dict[tuple[str, str, str | None], tuple[list[float | None], list[float]]]:
    return {
        (kind, name, line["label"]): (line["values"], line["coverage"])
        for kind, each in answer["kinds"].items()
        for name, figures in each["statistics"].items()
        for line in figures["lines"]
    }


def known(values: Sequence[float | None]) -> list[float]:
    return [nan if value is None else value for value in values]


@pytest.mark.parametrize("group", list(Group))
def test_answers_are_what_the_core_says_of_all_rows(
    own: Client, memory: MemoryStore, small: Inventory, registry: Registry, group: Group
) -> None:
    compound = small.compounds["jingyuan"]
    edges = bucket_edges(NOW_NS - DAY_S * NS_PER_S, NOW_NS, Every.parse("1h"), compound.timezone)
    served = lines(ask(own, group))
    for kind in registry.values():
        tables = {
            table.name: memory.read(Query(table=table, start_ns=0, stop_ns=2**62)) for table in kind.tables.values()
        }
        results = evaluate(
            kind,
            statistics_of(kind, group),
            compound.of_kind(kind.name),
            tables,
            edges,
            tz=compound.timezone,
            attributes={"residents": 620.0},
        )
        for result in results:
            for line in result.lines:
                values, coverage = served.pop((kind.name, result.statistic.name, line.label))
                assert known(values) == pytest.approx(known(finite(line.values)), rel=1e-9, nan_ok=True)
                assert coverage == pytest.approx(line.coverage.tolist())
    assert served == {}


@pytest.mark.parametrize("group", list(Group))
@pytest.mark.parametrize("hours", [2, 7])
def test_chunks_join_to_the_whole(own: Client, monkeypatch: pytest.MonkeyPatch, group: Group, hours: int) -> None:
    whole = lines(ask(own, group, "every=1h"))
    monkeypatch.setattr(pieces, "_RAW_NS", hours * HOUR_NS)
    cut = lines(ask(own, group, "every=1h"))
    assert cut.keys() == whole.keys()
    for key, (values, coverage) in whole.items():
        assert known(cut[key][0]) == pytest.approx(known(values), rel=1e-9, nan_ok=True), key
        assert cut[key][1] == pytest.approx(coverage, rel=1e-9), key


def test_a_long_span_is_read_a_month_at_a_time(own: Client, memory: MemoryStore) -> None:
    memory.reads.clear()
    found = ask(own, "usage", "start=-400d&every=1d&kind=gate")
    assert len(found["buckets"]) == 401
    starts = sorted({query.start_ns for query in memory.reads})
    assert len(starts) >= 12
    assert all(query.stop_ns - query.start_ns <= 64 * 24 * HOUR_NS for query in memory.reads)


@pytest.mark.parametrize("query", ["start=-400d&every=1h", "start=-400d&every=1mo", "start=-6d&every=1m"])
def test_big_spans_are_quick(client: Client, query: str) -> None:
    begun = time.perf_counter()
    for group in Group:
        ask(client, group, query)
    assert time.perf_counter() - begun < 20


def test_buckets_that_have_not_begun_are_unobserved(own: Client) -> None:
    for group in Group:
        found = ask(own, group, "start=2025-06-01&stop=2025-06-02&every=1h")
        assert len(found["buckets"]) == 24
        for values, coverage in lines(found).values():
            assert values[10:] == [None] * 14
            assert coverage[10:] == [0.0] * 14
    # What has begun stands: passes are counted up to this moment.
    assert (
        None not in lines(found | ask(own, "usage", "start=2025-06-01&stop=2025-06-02"))["gate", "passes", None][0][:10]
    )


def test_a_span_before_all_readings_is_unobserved_and_not_zero(own: Client) -> None:
    for group in Group:
        for values, coverage in lines(ask(own, group, "start=-30d&stop=-29d")).values():
            assert values == [None] * len(values)
            assert coverage == [0.0] * len(coverage)


def test_one_compound_hears_nothing_of_another(own: Client, memory: MemoryStore) -> None:
    ask(own, "usage")
    assert {query.compounds for query in memory.reads} == {("jingyuan",)}
    assert lines(ask(own, "usage")) != lines(ask(own, "usage", compound="xinyuan"))


def test_a_kind_that_the_compound_lacks(memory: MemoryStore, registry: Registry) -> None:
    first, *others = registry
    bare = inventory_of({name: registry[name] for name in others})
    with Client(create_app(OPTIONS, bare, registry, memory, clock=Clock())) as client:
        assert first not in ask(client, "usage")["kinds"]
        asked = ask(client, "usage", f"kind={first}")
        assert asked["kinds"][first]["devices"] == 0
        assert all(not any(coverage) for _, coverage in lines(asked).values())
        assert all(set(values) == {None} for values, _ in lines(asked).values())


@pytest.mark.parametrize(
    ("day", "hours", "offsets"),
    [
        ("2025-03-30", 23, {"+00:00", "+01:00"}),
        ("2025-10-26", 25, {"+01:00", "+00:00"}),
        ("2025-06-01", 24, {"+01:00"}),
    ],
)
def test_days_have_23_to_25_hours_where_clocks_change(
    registry: Registry, day: str, hours: int, offsets: set[str]
) -> None:
    london = inventory_of(registry, timezone="Europe/London", compounds=("thames",))
    now = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=zone("Europe/London")).timestamp() + 30 * 3600
    now_ns = int(now) * NS_PER_S
    store = MemoryStore()
    store.write(list(batches(london, registry, now_ns=now_ns, seconds=2 * DAY_S)))
    following = str(np.datetime64(day) + 1)
    with Client(create_app(OPTIONS, london, registry, store, clock=Clock(now_ns))) as client:
        span = f"start={day}&stop={following}"
        hourly = ask(client, "usage", f"{span}&every=1h", "thames")
        daily = ask(client, "usage", f"{span}&every=1d", "thames")
    assert len(hourly["buckets"]) == hours
    assert {each[-6:] for each in hourly["buckets"]} == offsets
    assert hourly["start"].startswith(f"{day}T00:00:00")
    assert hourly["stop"].startswith(f"{following}T00:00:00")
    assert len(daily["buckets"]) == 1
    for key in [("gate", "passes", None), ("charger", "energy", None)]:
        summed = sum(value or 0 for value in lines(hourly)[key][0])
        assert summed == pytest.approx(lines(daily)[key][0][0])


def test_present_figures_with_several_time_zones(registry: Registry, memory: MemoryStore, small: Inventory) -> None:
    far = inventory_of(registry, timezone="America/New_York", compounds=("hudson",))
    both = Inventory(small.name, {**small.compounds, **far.compounds})
    memory.write(list(batches(far, registry, seed=5)))
    with Client(create_app(OPTIONS, both, registry, memory, clock=Clock())) as client:
        overview = {each["id"]: each for each in client.get("/v1/overview").json()["compounds"]}
        assert overview["hudson"]["time"] == "2025-05-31T22:00:00-04:00"
        for name in both.compounds:
            assert client.get(f"/v1/compounds/{name}").json()["now"] == overview[name]


def test_the_overview_asks_the_store_once_for_each_table_and_not_for_each_compound(
    memory: MemoryStore, registry: Registry
) -> None:
    large = inventory_of(registry, compounds=tuple(f"c{number}" for number in range(22)))
    with Client(create_app(OPTIONS, large, registry, memory, clock=Clock())) as client:
        memory.reads.clear()
        assert len(client.get("/v1/overview").json()["compounds"]) == 22
        assert len(memory.reads) <= sum(len(kind.tables) for kind in registry.values())


def test_parts_of_the_inventory_alone_give_lines(registry: Registry, small: Inventory) -> None:
    """A compound without a single reading still shows every line of every statistic, all unobserved."""
    with Client(create_app(OPTIONS, small, registry, MemoryStore(), clock=Clock())) as client:
        for group in Group:
            found = ask(client, group)
            for name, each in found["kinds"].items():
                kind: Kind = registry[name]
                part: Part | None = kind.part
                for row in statistics_of(kind, group):
                    labels = [line["label"] for line in each["statistics"][row.name]["lines"]]
                    assert labels
                    if row.by == "part" and part is not None and part.values:
                        assert labels == list(part.values)
