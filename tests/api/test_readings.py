"""Paging over raw readings: every row on exactly one page, in either order."""

import numpy as np
import pytest

from devices.columns import Batch
from devices.inventory import Inventory
from devices.registry import Registry
from tests.api.client import Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, rows

Row = tuple[str, str | None, str]


def with_parts(small: Inventory) -> str:
    return next(device.id for device in small.devices.values() if len(device.parts) > 1)


def pages(client: Client, url: str) -> list[list[Row]]:
    found, cursor = [], ""
    for _ in range(2000):
        answer = client.get(f"{url}{cursor}").json()
        found.append([(each["time"], each["part"], str(each["values"])) for each in answer["readings"]])
        if answer["next"] is None:
            return found
        cursor = f"&cursor={answer['next']}"
    pytest.fail("the pages do not end")


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_both_orders_give_every_row_once(client: Client, small: Inventory, limit: int) -> None:
    url = f"/v1/devices/{with_parts(small)}/readings?start=-6h"
    whole = pages(client, f"{url}&limit=10000&order=oldest")
    assert len(whole) == 1
    for order in ("oldest", "newest"):
        found = pages(client, f"{url}&limit={limit}&order={order}")
        assert all(len(page) == limit for page in found[:-1])
        flat = [row for page in found for row in page]
        assert (flat if order == "oldest" else flat[::-1]) == whole[0]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_rows_of_one_instant_are_split_between_pages_and_none_is_lost(
    own: Client, memory: MemoryStore, small: Inventory, registry: Registry, limit: int
) -> None:
    device = small.devices[with_parts(small)]
    table = registry[device.kind].tables["telemetry"]
    time = NOW_NS + np.arange(1, 4, dtype=np.int64)
    made = rows(device, table, time, np.random.default_rng(2))
    together = Batch(made.table, made.keys, made.series, np.tile(time, len(made.keys)), made.columns)
    memory.write([together])
    url = f"/v1/devices/{device.id}/readings?start={NOW_NS + 1}&stop={NOW_NS + 4}"
    for order in ("newest", "oldest"):
        flat = [row for page in pages(own, f"{url}&order={order}&limit={limit}") for row in page]
        assert len(flat) == len(set(flat)) == len(made)


def test_oldest_first_looks_beyond_long_gaps(own: Client, memory: MemoryStore, small: Inventory) -> None:
    device = with_parts(small)
    memory.reads.clear()
    answer = own.get(f"/v1/devices/{device}/readings?start=-390d&order=oldest&limit=2").json()
    assert len(answer["readings"]) == 2
    assert answer["next"] is not None
    assert len(memory.reads) < 10
    assert own.get(f"/v1/devices/{device}/readings?start=-390d&stop=-380d&order=oldest").json()["readings"] == []


def test_newest_first_reads_no_more_than_it_shows(own: Client, memory: MemoryStore, small: Inventory) -> None:
    memory.reads.clear()
    own.get(f"/v1/devices/{with_parts(small)}/readings?limit=5")
    assert [query.limit for query in memory.reads] == [6]


def test_fields_can_be_chosen(client: Client, small: Inventory, registry: Registry) -> None:
    device = with_parts(small)
    names = [field.name for field in registry[small.devices[device].kind].telemetry][:3][::-1]
    for query in ("fields=" + ",".join(names), "&".join(f"fields={name}" for name in names)):
        answer = client.get(f"/v1/devices/{device}/readings?limit=2&{query}").json()
        assert [field["name"] for field in answer["fields"]] == names
        assert [list(each["values"]) for each in answer["readings"]] == [names, names]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1-2-3", "-1-1", "9" * 19 + "-1", "1-1000", "１-１"])
def test_a_cursor_that_is_not_ours_is_refused(client: Client, small: Inventory, cursor: str) -> None:
    answer = client.get(f"/v1/devices/{with_parts(small)}/readings", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor")


def test_a_cursor_outside_the_span_gives_an_empty_page(client: Client, small: Inventory) -> None:
    for order, cursor in (("newest", "5-0"), ("oldest", f"{NOW_NS + 10**15}-0")):
        answer = client.get(f"/v1/devices/{with_parts(small)}/readings?order={order}&cursor={cursor}")
        assert (answer.status_code, answer.json()["readings"], answer.json()["next"]) == (200, [], None)
