"""Every panel's and alert's query answers on what simulated devices sent, through the real mosquitto and influxd."""

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices.kind import FEWEST_TOLD
from devices.registry import discover
from grafana import build, panels
from scripts.parts import ROOT
from scripts.stack import Stack, started
from tests.services import Bucket

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

DAYS = 3
INVENTORY = ROOT / "tests" / "grafana" / "inventory.yaml"
FILES = build.rendered(discover())
BOARDS = {path.stem: json.loads(text) for path, text in FILES.items() if path.suffix == ".json"}
PANELS = [
    (name, panel)
    for name, board in BOARDS.items()
    for row in board["panels"]
    for panel in [row, *row.get("panels", ())]
    if panel["type"] != "row"
]
FEW = f"\n  |> filter(fn: (r) => r._value >= {FEWEST_TOLD})"
ALERTS = yaml.safe_load(FILES[build.ALERTS])["groups"][0]["rules"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """The stack, with three days of two compounds that fail on purpose, rolled up."""
    folder = tmp_path_factory.mktemp("panels")
    with started(folder, {"COURTYARD_INVENTORY": str(INVENTORY)}) as stack:
        now = datetime.now(UTC)
        command = [sys.executable, "-m", "simulators", "--from", (now - timedelta(days=DAYS)).isoformat()]
        command += ["--to", now.isoformat(), "--speed", "max", "--batch", "50", "--faults", "all", "--seed", "3"]
        command += ["--inventory", str(INVENTORY), "--connections", "compound"]
        subprocess.run(command, cwd=ROOT, env=dict(stack.environment), check=True, capture_output=True, timeout=120)
        _await_rolled_up(stack)
        yield stack.bucket


def _await_rolled_up(stack: Stack) -> None:
    """Wait until the rollups of every kind are as far as they can be."""
    end = time.monotonic() + 120
    oldest = time.time() - 2 * 3600
    query = (
        'from(bucket: "courtyard_rollups") |> range(start: 0, stop: 2201-01-01T00:00:00Z)'
        ' |> filter(fn: (r) => r._field == "closed_s") |> keep(columns: ["_value", "_measurement"])'
    )
    while True:
        rows = _rows(stack.bucket.query(query))
        if len(rows) == len(discover()) and all(float(row["_value"]) > oldest for row in rows):
            return
        stack.check()
        assert time.monotonic() < end, rows
        time.sleep(1)


def _rows(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip()]
    return [row for block in blocks for row in csv.DictReader(io.StringIO(block))]


def _filled_in(query: str, bucket: Bucket) -> str:
    """The query with Grafana's variables filled in as Grafana does it, all devices chosen."""
    values = {
        "v.defaultBucket": json.dumps(bucket.bucket),
        "v.timeRangeStart": f"-{DAYS}d",
        "v.timeRangeStop": "now()",
        "v.windowPeriod": "1h",
        "${compound}": "jingyuan",
        "${building:regex}": ".*",
        "${device:regex}": ".*",
    }
    for name, value in values.items():
        query = query.replace(name, value)
    assert "${" not in query
    return query


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[f"{name}-{each['id']}" for name, each in PANELS])
def test_every_panel_answers(panel: dict[str, Any], filled: Bucket) -> None:
    for target in panel["targets"]:
        stop_ns = time.time_ns()
        start_ns = stop_ns - DAYS * 86_400 * 10**9
        fixed = f"range(start: time(v: {start_ns}), stop: time(v: {stop_ns}))"
        query = _filled_in(target["query"], filled).replace(f"range(start: -{DAYS}d, stop: now())", fixed)
        rows = _rows(filled.query(query))
        if query.endswith(FEW):  # what is left out is small, and there was something to be left out or shown
            every = _rows(filled.query(query.removesuffix(FEW)))
            assert _counts(row for row in every if int(row["_value"]) >= FEWEST_TOLD) == _counts(rows)
            rows = every
        assert any(row["_value"] not in {"", None} for row in rows), panel["title"]


def _counts(rows: Iterable[dict[str, str]]) -> list[tuple[str, str, str]]:
    return sorted((row["label"], row["_time"], row["_value"]) for row in rows)


def test_boards_leave_out_small_counts_of_what_people_did() -> None:
    queries = [target["query"] for _, panel in PANELS for target in panel["targets"]]
    passes = [each for each in queries if '"gate_pass"' in each and 'as: "label"' in each]
    assert len(passes) == 5  # by direction, method, result, reason and category
    assert all(each.endswith(FEW) for each in passes)


@pytest.mark.parametrize("name", list(BOARDS))
def test_every_variable_lists_something(name: str, filled: Bucket) -> None:
    for variable in BOARDS[name].get("templating", {}).get("list", ()):
        rows = _rows(filled.query(_filled_in(variable["query"], filled)))
        assert [row["_value"] for row in rows if row["_value"]], variable["name"]


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["uid"] for rule in ALERTS])
def test_every_alert_rule_answers_with_one_number(rule: dict[str, Any], filled: Bucket) -> None:
    (value,) = [
        float(row["_value"]) for row in _rows(filled.query(_filled_in(rule["data"][0]["model"]["query"], filled)))
    ]
    (limit,) = rule["data"][2]["model"]["conditions"][0]["evaluator"]["params"]
    assert 0 <= value < limit, "all is well here"


@pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[f"{name}-{each['id']}" for name, each in PANELS])
def test_every_panel_has_a_unit_both_titles_and_a_text_for_no_data(panel: dict[str, Any]) -> None:
    english, _, chinese = panel["title"].partition(" / ")
    assert english.strip()
    assert any("\u4e00" <= each <= "\u9fff" for each in chinese)
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"] == panels.NO_DATA
    assert panel["description"]
    assert panel["datasource"]["uid"] == "courtyard"


@pytest.mark.parametrize("name", list(BOARDS))
def test_every_board_says_how_old_its_data_is_and_is_whole(name: str) -> None:
    board = BOARDS[name]
    assert any(panel["title"].startswith("Age of the newest reading") for panel in board["panels"])
    assert " / " in board["title"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_there_are_walls_a_board_for_each_kind_and_one_of_the_pipeline() -> None:
    assert set(BOARDS) == {"fleet", "compound", "pipeline", *(f"kind-{name}" for name in discover())}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    for name in discover():
        chosen = [each["name"] for each in BOARDS[f"kind-{name}"]["templating"]["list"]]
        assert chosen == ["compound", "building", "device"]


def test_the_thresholds_are_those_of_the_alarm_rules() -> None:
    fill = next(panel for name, panel in PANELS if name == "kind-bin" and panel["title"].startswith("Fill level"))
    steps = [(each["value"], each["color"]) for each in fill["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert steps == [(None, "green"), (0.85, "yellow"), (0.95, "red")]
    battery = panels.limits(discover()["bin"], "battery")
    assert battery == [(None, "yellow"), (0.15, "green")]
    assert panels.limits(discover()["bin"], "weight_kg") == []


def test_compose_mounts_the_alert_rules() -> None:
    text = (Path(ROOT) / "docker-compose.yml").read_text()
    assert "./grafana/provisioning/alerting:/etc/grafana/provisioning/alerting:ro" in text
