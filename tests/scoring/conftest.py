"""One compound's truth, with all faults of devices, and what the API makes of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from api.options import ApiOptions
from api.service import Service
from api.statistics import StatisticsQuestion
from devices.columns import NS_PER_MS, Batch
from devices.inventory import Inventory
from devices.registry import Registry
from devices.statistics import Group
from scoring.truth import Truth
from simulators.behaviour import discover
from simulators.encode import Encoder
from simulators.faults.devices import DeviceFaults
from simulators.faults.options import FaultRates
from simulators.options import parse_time, selected
from simulators.source import Source
from simulators.truth import TruthFolder
from store.duck import DuckStore

HOUR_MS = 3_600_000
DAYS = 2


class Answers:
    """What a service answers, as it would over HTTP."""

    def __init__(self, service: Service) -> None:
        """Ask `service`."""
        self._service = service

    def statistics(
        self, path: str, group: Group, kind: str, *, start: str, stop: str, every: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        question = StatisticsQuestion(
            start=start,
            stop=stop,
            every=every,
            kinds=(kind,),
            building=params.get("building"),
            device=params.get("device"),
        )
        folder, _, compound = path.partition("/")
        made = (
            self._service.fleet(group, question)
            if folder == "fleet"
            else self._service.statistics(compound, group, question)
        )
        found: Mapping[str, Any] = json.loads(made.model_dump_json())["kinds"][kind]["statistics"]
        return found


@pytest.fixture(scope="session")
def one(inventory: Inventory) -> Inventory:
    """One compound."""
    return selected(inventory, "jingyuan", "")


@pytest.fixture(scope="session")
def truth(one: Inventory, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, list[Batch]]:
    """The truth of two days, and the rows as a store has them."""
    start = parse_time("2025-11-05T00:00", 0, next(iter(one.compounds.values())).timezone)
    stop = start + DAYS * 24 * HOUR_MS
    devices, behaviours = tuple(one.devices.values()), discover(registry)
    faults = DeviceFaults(FaultRates.parse("all"), devices, registry, behaviours, 3, start, "sim")
    source, rows = Source(one, registry, behaviours, 3), list[Batch]()
    path = Path(tmp_path_factory.mktemp("truth"))
    with TruthFolder(path) as folder:

        def record(batches: list[Batch], seq: NDArray[np.int64]) -> None:
            folder.record(batches, seq)
            first = 0
            for batch in batches:
                time = batch.time + seq[first : first + len(batch)] % NS_PER_MS
                rows.append(Batch(batch.table, batch.keys, batch.series, time, batch.columns))
                first += len(batch)

        numbers = {device.id: number for number, device in enumerate(devices)}
        encoder = Encoder(numbers, boot=1, boots=faults.boots, record=record)  # type: ignore[arg-type]
        for begin in range(start, stop, 4 * HOUR_MS):
            end = begin + 4 * HOUR_MS
            encoder.encode(faults.applied(source.span(begin, end), begin, end))
        folder.finish(start_ms=start, stop_ms=stop, seed=3)
    return Truth(path), rows


@pytest.fixture(scope="session")
def served(
    truth: tuple[Truth, list[Batch]],
    one: Inventory,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Answers]:
    """What the API serves of these rows."""
    known, rows = truth
    store = DuckStore(Path(tmp_path_factory.mktemp("duck")) / "rows.duckdb", registry.tables())
    store.write(rows)
    options = ApiOptions(keys=(), open_access=True)
    yield Answers(Service(options, one, registry, store, clock=lambda: known.stop_ns))
    store.close()
