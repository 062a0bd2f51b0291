"""What has to be read: no more than is needed, and far enough back."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aggregate.reads import GAP_LOOKBACK_NS, PAIR_LOOKBACK_NS
from aggregate.requirements import Need, requirements
from devices.availability import statistics_of
from devices.kind import Kind
from devices.registry import discover

KINDS = discover()
TZ = ZoneInfo("Asia/Shanghai")
S = 10**9
START = round(datetime(2024, 6, 1, 12, tzinfo=TZ).timestamp()) * S
EDGES = START + np.arange(5, dtype=np.int64) * 3600 * S
STOP = int(EDGES[-1])


def needs(kind: Kind, *names: str) -> dict[str, Need]:
    statistics = [each for each in statistics_of(kind) if each.name in names]
    assert len(statistics) == len(names)
    return {need.table.name: need for need in requirements(kind, statistics, EDGES, TZ)}


def test_a_level_needs_its_field_and_what_holds_as_the_span_begins() -> None:
    (need,) = needs(KINDS["locker"], "cells_occupied").values()
    assert (need.fields, need.start_ns, need.stop_ns, need.before_ns) == (("occupied",), START, STOP, 900 * S)


def test_an_optional_field_comes_with_one_that_every_row_has() -> None:
    assert needs(KINDS["camera"], "people_in_view")["telemetry"].fields == ("stream", "people")
    assert needs(KINDS["charger"], "session_energy")["session"].fields == ("phase", "energy_wh")


def test_a_register_needs_what_comes_before_a_gap_and_after_the_end() -> None:
    need = needs(KINDS["charger"], "energy")["telemetry"]
    assert (need.before_ns, need.stop_ns) == (GAP_LOOKBACK_NS, STOP + 180 * S)


def test_events_need_their_categories_and_the_signs_of_life() -> None:
    found = needs(KINDS["gate"], "passes_by_method")
    assert found["pass"].fields == ("method", "result")
    assert (found["pass"].start_ns, found["pass"].before_ns) == (START, 0)
    assert (found["telemetry"].fields, found["telemetry"].before_ns) == (("door",), 180 * S)


def test_events_without_fields_need_none() -> None:
    assert needs(KINDS["locker"], "refused_full")["refused_full"].fields == ()


def test_events_with_nothing_but_optional_fields_need_one_of_them() -> None:
    assert needs(KINDS["bin"], "collections")["collected"].fields == ("weight_kg",)


def test_a_balance_needs_all_rows_since_its_anchor() -> None:
    found = needs(KINDS["gate"], "people_inside")
    four = round(datetime(2024, 6, 1, 4, tzinfo=TZ).timestamp()) * S
    assert {need.start_ns for need in found.values()} == {four}
    assert found["pass"].fields == ("direction", "result")


def test_a_pair_needs_what_was_opened_before() -> None:
    found = needs(KINDS["locker"], "dwell_p90")
    assert {found[name].start_ns for name in ("deposit", "pickup")} == {START - PAIR_LOOKBACK_NS}
    assert found["telemetry"].start_ns == START


def test_a_ratio_needs_what_its_operands_need() -> None:
    one, two = needs(KINDS["gate"], "denial_rate"), needs(KINDS["gate"], "denials", "attempts")
    assert one == two


def test_a_status_is_needed_however_old_it_is() -> None:
    found = needs(KINDS["gate"], "online")
    assert found["status"].before_ns == START
    assert set(found) == {"status", "telemetry"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_table_is_named_once_and_covers_what_each_statistic_needs(kind: Kind) -> None:
    merged = {need.table.name: need for need in requirements(kind, statistics_of(kind), EDGES, TZ)}
    for statistic in statistics_of(kind):
        for need in requirements(kind, [statistic], EDGES, TZ):
            whole = merged[need.table.name]
            assert set(need.fields) <= set(whole.fields)
            assert whole.start_ns <= need.start_ns
            assert whole.stop_ns >= need.stop_ns
            assert whole.start_ns - whole.before_ns <= need.start_ns - need.before_ns
