"""The truth folder holds every reading once, as its device took it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from devices.columns import NS_PER_MS
from devices.errors import SettingsError
from devices.inventory import Inventory
from devices.registry import Registry
from scoring.truth import Truth
from simulators.behaviour import Behaviour
from simulators.encode import Encoder
from simulators.source import Source
from simulators.truth import MANIFEST, TruthFolder
from tests.simulators.conftest import HOUR_MS, at
from tests.simulators.rows import rows_of

START = at("2025-11-05T17:00")


def test_what_is_recorded_is_read_back(
    street: Inventory, registry: Registry, behaviours: Mapping[str, Behaviour], tmp_path: Path
) -> None:
    source = Source(street, registry, behaviours, 1)
    numbers = {id_: number for number, id_ in enumerate(street.devices)}
    recorded: dict[str, list[str]] = {}
    with TruthFolder(tmp_path / "truth") as folder:
        encoder = Encoder(numbers, boot=1, record=folder.record)
        for start in (START, START + HOUR_MS):
            batches = source.span(start, start + HOUR_MS)
            encoder.encode(batches)
            for batch in batches:
                recorded.setdefault(batch.table.measurement, []).extend(
                    f"{row['device']} {row['part']} {row['ms']} {[row[field.name] for field in batch.table.fields]}"
                    for row in rows_of(batch)
                )
        folder.finish(start_ms=START, stop_ms=START + 2 * HOUR_MS, seed=1)
    truth = Truth(tmp_path / "truth")
    assert (truth.start_ns, truth.stop_ns) == (START * NS_PER_MS, (START + 2 * HOUR_MS) * NS_PER_MS)
    for kind in registry.values():
        found: dict[str, list[str]] = {}
        for name, every in truth.tables(kind).items():
            table = kind.tables[name]
            for key, series in every.items():
                assert series.times == sorted(series.times)
                found.setdefault(table.measurement, []).extend(
                    f"{key.device} {key.part} {time // NS_PER_MS} "
                    f"{[series.columns[field.name][row] for field in table.fields]}"
                    for row, time in enumerate(series.times)
                )
        for measurement, rows in found.items():
            assert sorted(rows) == sorted(recorded.pop(measurement))
    assert not recorded


def test_a_folder_with_a_truth_is_not_written_to(tmp_path: Path) -> None:
    with TruthFolder(tmp_path) as folder:
        folder.finish(start_ms=0, stop_ms=1, seed=1)
    with pytest.raises(SettingsError, match="give an empty folder"):
        TruthFolder(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be made"):
        TruthFolder(tmp_path / "file" / "truth")


@pytest.mark.parametrize("said", [None, "{", "{}", json.dumps({"start_ms": "x", "stop_ms": 1})])
def test_a_truth_that_is_not_whole_is_refused(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / MANIFEST).write_text(said)
    with pytest.raises(SettingsError, match="holds no truth"):
        Truth(tmp_path)


def test_a_damaged_file_is_refused(registry: Registry, tmp_path: Path) -> None:
    with TruthFolder(tmp_path) as folder:
        folder.record([], np.zeros(0, np.int64))
        folder.finish(start_ms=0, stop_ms=1, seed=1)
    (tmp_path / "gate_pass.parquet").write_bytes(b"no parquet")
    with pytest.raises(SettingsError, match="cannot be read"):
        Truth(tmp_path).tables(registry["gate"])
