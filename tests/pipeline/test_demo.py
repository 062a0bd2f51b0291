"""`courtyard demo`: up on nothing but Python, plausible for all kinds, ends cleanly, goes on from the same data."""

import signal
from pathlib import Path
from typing import Any

from devices.registry import Registry
from tests.pipeline.programs import end, environment, eventually, get, running
from tests.services import free_port

SMALL = Path(__file__).parent / "small.yaml"
_UP_S = 90


def _occupancy(url: str) -> dict[str, dict[str, Any]] | None:
    """The statistics of Jingyuan's occupancy by kind and name, once every kind has been observed in the last hour."""
    answer = get(f"{url}/v1/compounds/jingyuan/occupancy?every=1h", key=None)
    if answer is None:
        return None
    found: dict[str, dict[str, Any]] = {name: kind["statistics"] for name, kind in answer["kinds"].items()}
    for kind in found.values():
        if all(line["coverage"][-1] < 0.5 for each in kind.values() for line in each["lines"]):
            return None
    return found


def _mean(statistic: dict[str, Any]) -> float:
    """Over what was observed: before the first 04:00 of its history the demo has not seen who left, and says so."""
    values = [
        value
        for line in statistic["lines"]
        for value, coverage in zip(line["values"], line["coverage"], strict=True)
        if value is not None and coverage >= 0.95
    ]
    return float(sum(values) / len(values))


def test_demo_answers_for_all_kinds_and_goes_on_after_a_second_start(tmp_path: Path, registry: Registry) -> None:
    port, log = free_port(), tmp_path / "output"
    env = environment(inventory=SMALL, api_port=port, mqtt_port=free_port(), metrics_port=free_port())
    arguments = ["courtyard", "demo", "--data-dir", str(tmp_path / "data")]
    url = f"http://127.0.0.1:{port}"

    with running(arguments, env, log) as demo:
        found = eventually(lambda: _occupancy(url), demo, log, _UP_S)
        assert set(found) == set(registry)
        assert 190 <= _mean(found["gate"]["people_inside"]) <= 420  # 380 residents, some of them at work
        assert 0 < _mean(found["charger"]["occupied"]) <= 4
        assert _mean(found["locker"]["cells_total"]) == (30 + 16 + 6) / 3
        assert 0 < _mean(found["bin"]["fill"]) < 1
        assert 0 < _mean(found["camera"]["storage_used"]) < 1
        first = get(f"{url}/v1/compounds/jingyuan/usage?every=1d&start=-25h&stop=-1h&kind=gate", key=None)
        end(demo, log, signal.SIGINT)

    with running(arguments, env, log) as demo:
        eventually(lambda: _occupancy(url), demo, log, _UP_S)
        again = get(f"{url}/v1/compounds/jingyuan/usage?every=1d&start=-25h&stop=-1h&kind=gate", key=None)
    assert first is not None
    assert again is not None
    assert _passes(first) > 500
    # The span has moved on by the seconds between the two questions; the day's passes are there once, not twice.
    assert abs(_passes(again) - _passes(first)) < 0.05 * _passes(first)


def _passes(answer: dict[str, Any]) -> float:
    passes = answer["kinds"]["gate"]["statistics"]["passes"]
    return float(sum(value for value in passes["lines"][0]["values"] if value is not None))
