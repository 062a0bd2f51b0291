"""A kind that nobody has edited for: two files in a scratch copy, and it flows from MQTT to the API."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.pipeline.programs import KEY, ROOT, environment, eventually, finish, get, running
from tests.services import Mosquitto, free_port

_PACKAGES = (
    "access", "aggregate", "alarms", "api", "courtyard", "devices", "ingest", "live", "mqtt", "pages", "records",
    "rollups", "scoring", "simulators", "store",
)  # fmt: skip
_KIND = '''
"""Street lamps: lit or not, and the energy they take."""

from devices.fields import category, counter, gauge, state
from devices.kind import Event, Kind
from devices.names import Text
from devices.statistics import Group, Reducer, Statistic

KIND = Kind(
    name="lamp",
    title=Text("Street lamp", "路灯"),
    interval_s=300,
    telemetry=(
        state("lit", Text("Lamp", "灯"), ("off", "on")),
        gauge("power_w", Text("Power", "功率"), "W", 0, 1000),
        counter("energy_wh", Text("Energy register", "电能表读数"), "Wh", 1e12),
    ),
    events=(
        Event(
            name="switched",
            title=Text("Switched", "开关"),
            fields=(category("to", Text("To", "状态"), ("off", "on")),),
        ),
    ),
    statistics=(
        Statistic(
            name="lamps_lit", title=Text("Lamps lit", "亮灯数"), group=Group.OCCUPANCY, unit="lamps",
            reducer=Reducer.IN_STATE, definition="Mean number of lamps lit.", field="lit", labels=("on",),
        ),
        Statistic(
            name="energy", title=Text("Energy", "电量"), group=Group.USAGE, unit="Wh",
            reducer=Reducer.INCREASE, definition="Increase of the registers.", field="energy_wh",
        ),
        Statistic(
            name="switchings", title=Text("Switchings", "开关次数"), group=Group.USAGE, unit="times",
            reducer=Reducer.COUNT, definition="Times a lamp was switched.", table="switched",
        ),
    ),
)
'''
_BEHAVIOUR = '''
"""Lamps are lit all the time, at 60 W, and switched on anew at each full local hour."""

import numpy as np

from simulators.behaviour import Behaviour
from simulators.site import HOUR_MS


class Lamps:
    def __init__(self, site):
        self._site = site

    def day(self, day):
        samples = self._site.samples(day)
        energy = 60 * (samples.ms - 1_700_000_000_000) / HOUR_MS
        hours = np.arange(day.start_ms, day.stop_ms, HOUR_MS)
        device = np.repeat(np.arange(len(self._site.devices)), len(hours))
        telemetry = self._site.telemetry(samples, {"lit": 1, "power_w": 60.0, "energy_wh": energy})
        switched = self._site.batch("switched", device, np.tile(hours, len(self._site.devices)), None, {"to": 1})
        return [telemetry, switched]


BEHAVIOUR = Behaviour(kind="lamp", model=Lamps)
'''
_INVENTORY = """
name: {en: Test street, zh: 测试街}
compounds:
  - id: jingyuan
    name: {en: Jingyuan, zh: 警苑小区}
    buildings: 2
    residents: 100
    parking_spaces: 5
    devices:
      lamp: {count: 4}
"""


def _scratch(folder: Path) -> Path:
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "devices" / "kinds" / "lamp.py").write_text(_KIND, encoding="utf-8")
    (folder / "simulators" / "behaviours" / "lamp.py").write_text(_BEHAVIOUR, encoding="utf-8")
    (folder / "inventory.yaml").write_text(_INVENTORY, encoding="utf-8")
    return folder


def test_one_file_adds_a_kind_from_mqtt_to_the_api(tmp_path: Path, broker: Mosquitto) -> None:
    scratch, log = _scratch(tmp_path / "scratch"), tmp_path / "output"
    port = free_port()
    env = environment(
        inventory=scratch / "inventory.yaml",
        data_dir=tmp_path / "data",
        mqtt_port=broker.port,
        api_port=port,
        metrics_port=free_port(),
        api_key=KEY,
    )
    url = f"http://127.0.0.1:{port}"
    summary = tmp_path / "summary.json"
    with running(["courtyard", "up"], env, log, cwd=scratch) as up:
        eventually(lambda: get(f"{url}/ready", key=None), up, log, 30)
        finish(
            ["simulators", "--from", "now-6h", "--to", "now", "--batch", "5", "--summary", str(summary)],
            env,
            cwd=scratch,
        )
        published = json.loads(summary.read_text())["acknowledged"]
        answer = eventually(lambda: _complete(url, published), up, log, 30)
        occupancy = get(f"{url}/v1/compounds/jingyuan/occupancy?start=-5h&stop=-1h&every=1h")
        kinds = get(f"{url}/v1/kinds")

    assert set(published) == {"lamp_telemetry", "lamp_switched", "lamp_status"}
    # Four lamps of 60 W for four hours.
    assert abs(sum(_values(answer, "energy")) - 960) < 1e-6
    assert sum(_values(answer, "switchings")) == 16
    assert _values(occupancy, "lamps_lit") == [4.0] * len(_values(occupancy, "lamps_lit"))
    assert kinds is not None
    assert [kind["name"] for kind in kinds["kinds"]].count("lamp") == 1


def _complete(url: str, published: dict[str, int]) -> dict[str, Any] | None:
    """The usage of Jingyuan, once all readings that were published have been written."""
    readings = [get(f"{url}/v1/devices/jingyuan-lamp-{n:02d}/readings?start=-7h&limit=1000") for n in range(1, 5)]
    if any(each is None for each in readings):
        return None
    if sum(len(each["readings"]) for each in readings if each) < published["lamp_telemetry"]:
        return None
    return get(f"{url}/v1/compounds/jingyuan/usage?start=-5h&stop=-1h&every=1h")


def _values(answer: dict[str, Any] | None, name: str) -> list[float]:
    assert answer is not None
    return [value for line in answer["kinds"]["lamp"]["statistics"][name]["lines"] for value in line["values"]]
