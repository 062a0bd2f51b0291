"""What every behaviour promises, whatever its kind."""

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pytest

from devices.columns import NS_PER_MS, Batch, Coded
from devices.errors import InventoryError
from devices.inventory import Inventory
from devices.kind import TELEMETRY
from devices.payloads import Schemas
from devices.registry import Registry, discover
from devices.topics import Topic
from simulators.behaviour import Behaviour
from simulators.encode import Encoder
from simulators.options import selected
from simulators.site import Site, day_of
from simulators.source import Source
from tests.simulators.conftest import DAY_MS, HOUR_MS, Readings, Tables, at, by_measurement, in_zone

KINDS = list(discover())
START = at("2025-11-07T15:00")  # a Friday; the span reaches into the weekend
STOP = START + 33 * HOUR_MS


def assert_same(left: Tables, right: Tables) -> None:
    assert list(left) == list(right)
    for name, one in left.items():
        other = right[name]
        assert [one.keys[code] for code in one.series] == [other.keys[code] for code in other.series], name
        np.testing.assert_array_equal(one.time, other.time, err_msg=name)
        for field, column in one.columns.items():
            if isinstance(column, Coded):
                assert column.decoded() == other.coded(field).decoded(), (name, field)
            else:
                np.testing.assert_array_equal(column, other.floats(field), err_msg=f"{name}.{field}")


@pytest.fixture(scope="module", params=KINDS)
def only(request: pytest.FixtureRequest, street: Inventory) -> Inventory:
    """The street with devices of one kind."""
    return selected(street, "", request.param)


def test_chunked_equals_whole(
    only: Inventory, readings: Readings, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    cuts = np.sort(np.random.default_rng(5).integers(START, STOP, 9)).tolist()
    source = Source(only, registry, behaviours, 1)
    chunks: list[Batch] = []
    for begin, end in zip([START, *cuts], [*cuts, STOP], strict=True):
        chunks += source.span(begin, end)
    assert_same(by_measurement(chunks), readings(START, STOP, where=only))


def test_a_span_does_not_depend_on_what_was_asked_before(
    only: Inventory, readings: Readings, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    source = Source(only, registry, behaviours, 1)
    source.span(START + 20 * DAY_MS, START + 20 * DAY_MS + HOUR_MS)
    source.span(START - 3 * DAY_MS, START - 2 * DAY_MS)
    assert_same(by_measurement(source.span(START, STOP)), readings(START, STOP, where=only))


def test_the_seed_decides(only: Inventory, readings: Readings) -> None:
    first, other = readings(START, STOP, where=only), readings(START, STOP, seed=2, where=only)
    assert_same(first, readings(START, STOP, where=only))
    assert any(
        len(first[name]) != len(other[name]) or bool((first[name].time != other[name].time).any()) for name in first
    )


def test_compounds_do_not_influence_each_other(only: Inventory, readings: Readings) -> None:
    alone = readings(START, STOP, where=selected(only, "jingyuan", ""))
    among = readings(START, STOP, where=only)
    mine = {
        name: batch.take(np.array([key.compound == "jingyuan" for key in batch.keys])[batch.series])
        for name, batch in among.items()
    }
    assert_same(alone, {name: batch for name, batch in mine.items() if len(batch)})


def test_everything_produced_is_accepted(
    only: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    schemas = Schemas(registry)
    encoder = Encoder({id_: n for n, id_ in enumerate(only.devices)}, boot=1, batch=100)
    messages = encoder.encode(Source(only, registry, behaviours, 1).span(START, STOP))
    assert messages
    for message in messages:
        topic = Topic.parse(message.topic)
        rows = schemas[topic.kind, topic.channel].validate(message.payload)
        assert len(rows) == sum(count for _, count in message.counts)


def test_a_model_keeps_to_its_day(only: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> None:
    compound = only.compounds["jingyuan"]
    for name, kind in registry.items():
        if devices := compound.of_kind(name):
            day = day_of(dt.date(2025, 11, 8), compound.timezone)
            batches = behaviours[name].model(Site(compound, kind, devices, 1)).day(day)
            assert len({batch.table.name for batch in batches}) == len(batches)
            for batch in batches:
                assert bool(((batch.time >= day.start_ms * NS_PER_MS) & (batch.time < day.stop_ms * NS_PER_MS)).all())
                assert not bool((batch.time % NS_PER_MS).any())


def test_telemetry_comes_at_the_interval(only: Inventory, readings: Readings, registry: Registry) -> None:
    (kind,) = (registry[name] for name in registry if any(each.of_kind(name) for each in only.compounds.values()))
    batch = readings(START, STOP, where=only)[f"{kind.name}_{TELEMETRY}"]
    series = [key for each in only.devices.values() for key in each.keys(batch.table)]
    assert sorted(batch.keys) == sorted(series)
    steps = np.diff(batch.time)[np.diff(batch.series) == 0] / 1e9
    assert bool((abs(steps - kind.interval_s) < 0.3).all())
    per_series = np.bincount(batch.series)
    expected = (STOP - START) / 1000 / kind.interval_s
    assert bool((abs(per_series - expected) <= 1).all())
    phases = {int(batch.time[n]) // NS_PER_MS % 60_000 for n in batch.offsets()[:-1].tolist()}
    assert len(phases) > 1  # devices do not all report at the same moment


def test_daylight_saving_days_are_whole_days(only: Inventory, readings: Readings) -> None:
    berlin = in_zone(only, "Europe/Berlin")
    for first, hours in (("2025-10-26", 25), ("2026-03-29", 23)):
        start = at(first, "Europe/Berlin")
        stop = start + hours * HOUR_MS
        assert stop == at(str(dt.date.fromisoformat(first) + dt.timedelta(days=1)), "Europe/Berlin")
        middle = start + 12 * HOUR_MS
        whole = readings(start, stop, where=berlin)
        halves = [readings(start, middle, where=berlin), readings(middle, stop, where=berlin)]
        assert_same(by_measurement([batch for half in halves for batch in half.values()]), whole)


def test_an_empty_compound_is_quiet(only: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> None:
    text = "name: {en: E, zh: 空}\ncompounds: [{id: empty, name: {en: E, zh: 空}, buildings: 1, residents: 0, "
    kinds = {device.kind for device in only.devices.values()}
    groups = ", ".join(
        f"{name}: {{count: 1{', parts: 1' if kind.part and not kind.part.values else ''}, "
        "attributes: {small: 0, medium: 0, large: 0}}"
        for name, kind in registry.items()
        if name in kinds
    )
    inventory = Inventory.parse(f"{text}parking_spaces: 0, devices: {{{groups}}}}}]", registry)
    made = Source(inventory, registry, behaviours, 1).span(START, STOP)
    assert {batch.table.name for batch in made} >= {TELEMETRY}


@pytest.mark.parametrize("value", ["forty", "-1"])
def test_an_attribute_that_is_no_number(registry: Registry, behaviours: Mapping[str, Behaviour], value: str) -> None:
    text = (
        "name: {en: E, zh: 空}\ncompounds: [{id: odd, name: {en: E, zh: 空}, buildings: 1, residents: 9, "
        f"parking_spaces: 0, devices: {{locker: {{count: 1, attributes: {{small: {value}}}}}}}}}]"
    )
    with pytest.raises(InventoryError, match=r"odd-locker-01.*'small' must be a number"):
        Source(Inventory.parse(text, registry), registry, behaviours, 1)
