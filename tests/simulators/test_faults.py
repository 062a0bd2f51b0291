"""Faults on purpose: what devices do wrong is true, what goes wrong on the way changes nothing that is true."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from devices.columns import NS_PER_MS, Batch, SeriesKey
from devices.errors import ReadingError, SettingsError
from devices.inventory import Inventory
from devices.kind import STATUS, Channel
from devices.payloads import Schemas
from devices.registry import Registry
from devices.topics import Topic
from simulators.behaviour import Behaviour
from simulators.encode import Encoder, Message
from simulators.faults.devices import DeviceFaults
from simulators.faults.options import NO_FAULTS, FaultRates
from simulators.faults.transport import LATEST_MS, Transport
from simulators.source import Source
from tests.simulators.conftest import HOUR_MS, at
from tests.simulators.rows import rows_of

START = at("2025-11-05T00:00")
STOP = START + 24 * HOUR_MS
ALL = FaultRates.parse("all")
MANY = FaultRates(skew=0.5, resets=2, reboots=2, frozen=2, outages=1)


@pytest.fixture(scope="module")
def day(street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> list[Batch]:
    return Source(street, registry, behaviours, 1).span(START, STOP)


@pytest.fixture
def faults(street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> DeviceFaults:
    return made(MANY, street, registry, behaviours)


def made(rates: FaultRates, street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]) -> DeviceFaults:
    return DeviceFaults(rates, tuple(street.devices.values()), registry, behaviours, 1, START, "sim")


def numbers(street: Inventory) -> dict[str, int]:
    return {id_: number for number, id_ in enumerate(street.devices)}


def texts(batches: Sequence[Batch]) -> list[str]:
    return sorted(f"{each.table.measurement} {row}" for each in batches for row in rows_of(each))


def rows_within(batches: Sequence[Batch], start: int, stop: int) -> list[Batch]:
    return [b.take((b.time >= start * NS_PER_MS) & (b.time < stop * NS_PER_MS)) for b in batches]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("none", NO_FAULTS),
        ("", NO_FAULTS),
        ("All", ALL),
        ("skew=0.5, resets=2", FaultRates(skew=0.5, resets=2)),
        ("duplicates", FaultRates(duplicates=ALL.duplicates)),
    ],
)
def test_rates_are_read(text: str, found: FaultRates) -> None:
    assert FaultRates.parse(text) == found
    assert FaultRates.parse(text).any is (found != NO_FAULTS)


@pytest.mark.parametrize("text", ["rain", "skew=x", "skew=-1", "duplicates=1.5", "skew=nan", "skew=11", "skew,,"])
def test_bad_rates_say_what_to_write(text: str) -> None:
    with pytest.raises(SettingsError, match=r"no fault is called|write a number"):
        FaultRates.parse(text)


def test_however_a_day_is_cut_the_same_goes_wrong(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    whole = made(MANY, street, registry, behaviours).applied(day, START, STOP)
    piecewise = made(MANY, street, registry, behaviours)
    pieces = []
    for start in range(START, STOP, 5 * HOUR_MS):
        stop = min(start + 5 * HOUR_MS, STOP)
        pieces += piecewise.applied(rows_within(day, start, stop), start, stop)
    assert texts(pieces) == texts(whole)


def test_without_rates_nothing_goes_wrong(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    assert texts(made(NO_FAULTS, street, registry, behaviours).applied(day, START, STOP)) == texts(day)


@pytest.mark.parametrize("rates", [FaultRates(outages=2), FaultRates(outages=6, reboots=30)])
def test_a_dead_device_says_nothing_but_that_it_goes_and_comes(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour], *, rates: FaultRates
) -> None:
    found = made(rates, street, registry, behaviours).applied(day, START, STOP)
    said: dict[str, list[tuple[int, str | None]]] = defaultdict(list)
    times: dict[str, list[int]] = defaultdict(list)
    for batch in found:
        for key, time, place in zip(
            np.array([*batch.keys], object)[batch.series][:, 1], batch.time // NS_PER_MS, range(len(batch)), strict=True
        ):
            if batch.table.name == STATUS:
                said[key].append((int(time), batch.coded("state").decoded()[place]))
            else:
                times[key].append(int(time))
    assert said
    silent = 0
    for device, marks in said.items():
        states = [state for _, state in sorted(marks)]
        assert all(one != other for one, other in pairwise(states)), "it neither goes nor comes twice"
        for begin, state in marks:
            if state == "offline":
                ends = [end for end, other in sorted(marks) if other == "online" and end > begin]
                silent += 1
                assert not any(begin <= time < (ends[0] if ends else STOP) for time in times[device])
    assert silent > len(street.devices) / 2


def test_registers_begin_anew_and_rise_as_before(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    found = made(FaultRates(resets=3), street, registry, behaviours).applied(day, START, STOP)

    def registers(batches: Sequence[Batch]) -> dict[SeriesKey, list[float]]:
        (batch,) = [each.sorted() for each in batches if each.table.measurement == "charger_telemetry"]
        bounds = batch.offsets()
        values = batch.floats("energy_wh")
        return {key: values[bounds[i] : bounds[i + 1]].tolist() for i, key in enumerate(batch.keys)}

    falls = 0
    before, after = registers(day), registers(found)
    for key, shown in after.items():
        for one, other, low, high in zip(shown, shown[1:], before[key], before[key][1:], strict=False):
            if other < one:
                falls += 1
                assert other == pytest.approx(high - low, abs=1e-4)  # it begins with 0 at the last reading before
            else:
                assert other - one == pytest.approx(high - low, abs=1e-4)
    assert falls > 0


def test_a_frozen_camera_shows_an_ever_older_picture(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    found = made(FaultRates(frozen=5), street, registry, behaviours).applied(day, START, STOP)

    def frozen(batches: Sequence[Batch]) -> int:
        return sum(
            row["stream"] == "frozen"
            for each in batches
            if each.table.measurement == "camera_telemetry"
            for row in rows_of(each)
        )

    assert frozen(found) > 2 * frozen(day)
    assert len(texts(found)) == len(texts(day))


def test_a_wrong_clock_is_wrong_by_as_much_for_a_spell(
    day: list[Batch], street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour]
) -> None:
    found = made(FaultRates(skew=1), street, registry, behaviours).applied(day, START, STOP)
    off = [
        (after.time - before.time) // NS_PER_MS
        for before, after in zip([each for each in day if len(each)], found, strict=True)
    ]
    every = np.concatenate(off)
    assert 0.02 < np.mean(every != 0) < 0.9
    assert np.abs(every).max() <= 90_000


def test_a_new_boot_numbers_from_zero_and_no_number_is_missing(
    day: list[Batch], street: Inventory, faults: DeviceFaults
) -> None:
    encoder = Encoder(numbers(street), boot=100, boots=faults.boots)
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    for start in range(START, STOP, 3 * HOUR_MS):
        part = rows_within(day, start, start + 3 * HOUR_MS)
        for message in encoder.encode(faults.applied(part, start, start + 3 * HOUR_MS)):
            body = json.loads(message.payload)
            seen[message.topic, body["boot"]].append(body["seq"])
    assert len({boot for _, boot in seen}) > 2
    for each in seen.values():
        assert sorted(each) == list(range(len(each)))


def disturbed(
    rates: FaultRates, day: list[Batch], street: Inventory, *, until: int | None = None
) -> tuple[list[Message], list[Message]]:
    """The messages of some hours, before and after."""
    transport = Transport(rates, tuple(street.devices.values()), 1)
    before = Encoder(numbers(street), boot=1).encode(rows_within(day, START, START + 3 * HOUR_MS))
    return before, transport.disturbed(before, until)


def objects(messages: Sequence[Message]) -> Counter[tuple[str, str]]:
    """How often each object came, but for messages that cannot be read."""
    found: Counter[tuple[str, str]] = Counter()
    for message in messages:
        try:
            body: Any = json.loads(message.payload)
        except ValueError:
            continue
        found.update((message.topic, json.dumps(each)) for each in (body if isinstance(body, list) else [body]))
    return found


def test_nothing_is_lost_on_the_way_and_nothing_comes_early(day: list[Batch], street: Inventory) -> None:
    rates = FaultRates(duplicates=0.1, reordering=0.2, lateness=0.2, batches=0.3, uplinks=5)
    before, after = disturbed(rates, day, street)
    sent, got = objects(before), objects(after)
    assert set(got) == set(sent)
    assert any(count > 1 for count in got.values())
    assert [message.due_ms for message in after] == sorted(message.due_ms for message in after)
    due = {json.loads(message.payload)["seq"]: message.due_ms for message in before if "pass" in str(message.counts)}
    assert due
    latest = max(message.due_ms for message in before)
    assert latest + HOUR_MS < max(message.due_ms for message in after) <= latest + LATEST_MS + 24 * HOUR_MS
    # Copies count as nothing, so that what is acknowledged is what there is.
    assert _total(after) == _total(before)


def test_what_is_late_comes_in_a_later_span(day: list[Batch], street: Inventory) -> None:
    transport = Transport(FaultRates(lateness=0.5), tuple(street.devices.values()), 1)
    until = START + 3 * HOUR_MS
    before = Encoder(numbers(street), boot=1).encode(rows_within(day, START, until))
    first = transport.disturbed(before, until)
    assert all(message.due_ms < until for message in first)
    rest = transport.disturbed([], None)
    assert rest
    assert objects([*first, *rest]) == objects(before)


def test_messages_are_gathered_into_arrays_of_one_topic(day: list[Batch], street: Inventory) -> None:
    before, after = disturbed(FaultRates(batches=1), day, street)
    assert objects(after) == objects(before)
    arrays = [message for message in after if message.payload[:1] == b"["]
    assert arrays
    assert len(after) < len(before) / 5
    assert _total(after) == _total(before)


def test_every_malformed_message_is_refused(day: list[Batch], street: Inventory, registry: Registry) -> None:
    before, after = disturbed(FaultRates(malformed=0.2), day, street)
    good = Counter((message.topic, message.payload) for message in before)
    bad = list((Counter((message.topic, message.payload) for message in after) - good).elements())
    assert len(bad) > len(before) / 10
    schemas, reasons = Schemas(registry), set()
    for text, payload in bad:
        topic = Topic.parse(text)
        with pytest.raises(ReadingError) as caught:
            schemas[topic.kind, Channel(topic.channel)].validate(payload)
        reasons.add(caught.value.reason)
    assert len(reasons) >= 3
    assert _total(after) == _total(before)


def test_the_same_seed_disturbs_the_same(day: list[Batch], street: Inventory) -> None:
    assert disturbed(ALL, day, street) == disturbed(ALL, day, street)


def _total(messages: Sequence[Message]) -> int:
    return sum(number for message in messages for _, number in message.counts)
