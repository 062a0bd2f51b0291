"""What single persons did: who may read it, that it is written down, and that small counts are withheld."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.callers import Grant, Scope
from access.doors import Doors
from api.app import create_app
from api.options import ApiOptions
from api.small_cells import K, withheld
from devices.registry import Registry
from tests.access.conftest import Clock
from tests.api.client import Client
from tests.api.memory_store import MemoryStore
from tests.api.world import NOW_NS, batches, inventory_of


@pytest.fixture
def clients(doors: Doors, registry: Registry, clock: Clock) -> Iterator[tuple[Client, Client]]:
    """One who reads, and one who manages."""
    inventory = inventory_of(registry)
    store = MemoryStore()
    store.write(list(batches(inventory, registry)))
    app = create_app(ApiOptions(keys=("x" * 16,)), inventory, registry, store, doors=doors, clock=clock)
    assert doors.keys is not None
    grants = [Grant(scopes=frozenset(each)) for each in ({Scope.READ}, {Scope.READ, Scope.MANAGE})]
    reads, manages = (doors.keys.create("x", each, by="test", now_ns=NOW_NS).text for each in grants)
    with Client(app, key=reads) as one, Client(app, key=manages) as two:
        yield one, two


@pytest.mark.parametrize(
    "path",
    ["/v1/devices/jingyuan-gate-01/readings?table=pass", "/v1/devices/jingyuan-locker-01/readings?table=pickup",
     "/v1/devices/jingyuan-charger-01/readings?table=session", "/v1/export/readings?kind=gate&table=pass"],
)  # fmt: skip
def test_events_of_persons_are_for_who_manages_and_each_look_is_written_down(
    clients: tuple[Client, Client], doors: Doors, path: str
) -> None:
    assert doors.audit is not None
    reads, manages = clients
    assert reads.get(path).json()["code"] == "about_people"
    assert doors.audit.newest(10) == []
    assert manages.get(path).status_code == 200
    assert "people.read" in {each.what for each in doors.audit.newest(10)}
    assert reads.get("/v1/devices/jingyuan-gate-01/readings?table=telemetry").status_code == 200


def test_small_counts_by_category_are_withheld(clients: tuple[Client, Client]) -> None:
    reads, manages = clients
    path = "/v1/compounds/jingyuan/usage?statistic=passes_by_category&statistic=passes&every=1h"
    told, known = (each.get(path).json()["kinds"]["gate"]["statistics"] for each in (reads, manages))
    assert told["passes"] == known["passes"]
    hidden = 0
    for one, other in zip(told["passes_by_category"]["lines"], known["passes_by_category"]["lines"], strict=True):
        assert not other["withheld"]
        for bucket, (seen, true) in enumerate(zip(one["values"], other["values"], strict=True)):
            if bucket in one["withheld"]:
                assert seen is None
                hidden += 1
            else:
                assert seen == true
                assert seen is None or not 0 < seen < K
    assert hidden > 10
    file = reads.get("/v1/export/statistics?compound=jingyuan&statistic=passes_by_category&every=1h").text
    assert not any(line.split(",")[-2] in {"1.0", "2.0", "3.0", "4.0"} for line in file.splitlines()[1:])


@given(st.lists(st.lists(st.sampled_from([np.nan, 0, 1, 3, 4, 5, 9, 40]), min_size=3, max_size=3), max_size=8))
def test_no_total_gives_a_withheld_cell_away(rows: list[list[float]]) -> None:
    counts = np.array(rows, np.float64).reshape(-1, 3).T
    hidden = withheld(counts)
    assert hidden[(counts > 0) & (counts < K)].all()
    for column, cells in zip(hidden.T, counts.T, strict=True):
        if column.any():
            assert column.sum() >= 2 or not (cells[~column] > 0).any()
