"""The score passes what is right, and nothing else."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from devices.availability import statistics_of
from devices.columns import Batch
from devices.inventory import Inventory
from devices.registry import Registry
from devices.statistics import Group, Reducer
from scoring import figures
from scoring.compare import EXACT, QUANTILE, Row, compared, limit_of
from scoring.scopes import Level
from scoring.truth import Truth
from tests.scoring.conftest import Answers

Known = tuple[Truth, list[Batch]]


class Changed:
    """Answers, changed a little."""

    def __init__(self, answers: Answers, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what `answers` says."""
        self._answers = answers
        self._change = change

    def statistics(
        self, path: str, group: Group, kind: str, *, start: str, stop: str, every: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        found = self._answers.statistics(path, group, kind, start=start, stop=stop, every=every, params=params)
        changed = copy.deepcopy(dict(found))
        self._change(changed)
        return changed


def scored(  # noqa: PLR0917  (both sides, and how they are compared)
    truth: Known,
    answers: Answers | Changed,
    one: Inventory,
    registry: Registry,
    every: str = "1d",
    level: Level = Level.COMPOUND,
) -> list[Row]:
    return list(compared(truth[0], answers, registry, one, every, levels=(level,)))


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("every", ["1h", "1d"])
def test_every_statistic_equals_the_truth(  # noqa: PLR0917  (fixtures)
    truth: Known, served: Answers, one: Inventory, registry: Registry, every: str, level: Level
) -> None:
    rows = scored(truth, served, one, registry, every, level)
    balances = {"people_inside", "people_inside_low", "people_inside_high"}
    assert [(row.kind, row.statistic) for row in rows] == [
        (kind.name, each.name)
        for kind in registry.values()
        for each in statistics_of(kind)
        if level in {Level.COMPOUND, Level.FLEET} or each.name not in balances
    ]
    failed = [row for row in rows if not row.passed]
    assert not failed, failed
    assert sum(row.known > 0 for row in rows) > len(rows) * 0.9


def test_how_far_off_a_figure_may_be(registry: Registry) -> None:
    for kind in registry.values():
        for each in statistics_of(kind):
            limit = limit_of(each)
            assert limit == (0 if each.reducer in EXACT else QUANTILE if each.reducer is Reducer.QUANTILE else 1e-9)


def spoilt(name: str, how: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def change(statistics: dict[str, Any]) -> None:
        if name in statistics:
            how(statistics[name]["lines"][0])

    return change


def one_more(line: dict[str, Any]) -> None:
    line["values"][0] += 1


def a_little_more(line: dict[str, Any]) -> None:
    line["values"][0] *= 1 + 1e-8


def unknown(line: dict[str, Any]) -> None:
    line["values"][0] = None


def no_number(line: dict[str, Any]) -> None:
    line["values"][0] = math.nan


def seen_no_number(line: dict[str, Any]) -> None:
    line["coverage"][0] = math.nan


def more_seen(line: dict[str, Any]) -> None:
    line["coverage"][0] -= 1e-6


def another_label(line: dict[str, Any]) -> None:
    line["label"] = "nobody"


def a_bucket_less(line: dict[str, Any]) -> None:
    line["values"].pop()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("passes", one_more),
        ("energy", a_little_more),
        ("offline_seconds", unknown),
        ("energy", no_number),
        ("cells_occupied", more_seen),
        ("fill", seen_no_number),
        ("analytics_by_type", another_label),
        ("fill", a_bucket_less),
    ],
)
def test_what_is_wrong_does_not_pass(
    truth: Known,
    served: Answers,
    one: Inventory,
    registry: Registry,
    *,
    name: str,
    how: Callable[[dict[str, Any]], None],
) -> None:
    rows = scored(truth, Changed(served, spoilt(name, how)), one, registry)
    assert {row.statistic for row in rows if not row.passed} == {name}


def test_what_is_not_served_or_not_declared_does_not_pass(
    truth: Known, served: Answers, one: Inventory, registry: Registry
) -> None:
    def change(statistics: dict[str, Any]) -> None:
        if "passes" in statistics:
            statistics["rumours"] = statistics.pop("passes")

    failed = {row.statistic: row.why for row in scored(truth, Changed(served, change), one, registry) if not row.passed}
    assert failed == {"passes": "not served", "rumours": "not declared"}


def test_what_cannot_be_scored_does_not_pass(
    truth: Known, served: Answers, one: Inventory, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {reducer: make for reducer, make in figures._REDUCERS.items() if reducer is not Reducer.UPTIME}
    monkeypatch.setattr(figures, "_REDUCERS", fewer)
    failed = {row.statistic: row.why for row in scored(truth, served, one, registry) if not row.passed}
    assert failed == {"uptime": "not scored"}


def test_every_reducer_can_be_scored() -> None:
    assert set(figures._REDUCERS) == set(Reducer)
