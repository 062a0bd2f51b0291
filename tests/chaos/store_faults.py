"""A store that refuses, fails and breaks off; poison and a flood among good readings."""

import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from devices.columns import Floats
from devices.errors import Reason
from devices.registry import discover
from ingest.inspection import read_dead_letters
from tests.chaos.compare import Readings, acknowledged, numbered, without
from tests.chaos.http_store import Answer, HttpStore, Request, forwarding
from tests.chaos.load import BOOT_NUMBERS, NUMBERED
from tests.chaos.report import Report
from tests.chaos.rig import Rig
from tests.chaos.verdict import verify

RETRY_AFTER_S = 1
_BODY_BYTES = 40_000
_EVERY = 50
_BAD = {"charger": (_EVERY, 23), "gate": (_EVERY, 31)}
"""By kind, which readings are bad: those whose number leaves such a rest."""
_ROUNDING_S = 0.01
_TROUBLED_EVERY = 400
_BREAK = "reset after accepting"
_TROUBLES = {
    5: "429", 47: "405", 111: "503", 147: "200", 217: "reset", 247: "400 of a proxy", 323: _BREAK,
    329: "500",
}  # fmt: skip
"""What happens to which of so many requests."""
_FOREIGN = {"405": 405, "200": 200, "400 of a proxy": 400}
"""What another server says that has got the address of the store."""


@dataclass
class Stub:
    """A store that is in trouble, and keeps what it accepts.

    Of the readings, some chargers' are refused with 400, which refuses all beside them, and some gates' with 422, which
    keeps those beside them. Bodies above a limit are refused with 413. Every few requests fail in another way.

    Attributes:
        answers: how often each answer was given.
        early: how many requests came before a Retry-After had passed.
        rows: the number of each row kept, by kind, device and time.
    """

    answers: Counter[str] = field(default_factory=Counter)
    early: int = 0
    rows: dict[tuple[str, str, int], float] = field(default_factory=dict)
    _not_before: float = 0.0
    _requests: int = 0
    _breaks: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer | None:
        """Answer a request."""
        if not request.writes:
            return Answer(404)
        with self._lock:
            return self._answer(request.body)

    def _answer(self, body: bytes) -> Answer | None:
        if time.monotonic() < self._not_before - _ROUNDING_S:
            self.early += 1
        trouble = _TROUBLES.get(self._requests % _TROUBLED_EVERY)
        self._requests += 1
        if trouble in {"429", "503"}:
            self._not_before = time.monotonic() + RETRY_AFTER_S
            return self._said(int(trouble), **{"Retry-After": str(RETRY_AFTER_S)})
        if trouble == "500":
            return self._said(500)
        if trouble in _FOREIGN:
            self.answers[trouble] += 1
            return Answer(_FOREIGN[trouble], b"<html>nginx</html>")
        if trouble == "reset":
            self.answers[trouble] += 1
            return None
        answer = self._said(413) if len(body) > _BODY_BYTES else self._taken(body)
        self._breaks |= trouble == _BREAK
        if self._breaks and answer.is_success:
            self._breaks = False
            self.answers[_BREAK] += 1
            return None
        return answer

    def _taken(self, body: bytes) -> Answer:
        rows = [_parsed(line) for line in body.decode().splitlines()]
        if any(_is_bad(row, "charger") for row in rows):
            return self._said(400)
        good = [row for row in rows if not _is_bad(row, "gate")]
        self.rows.update({(row.kind, row.device, row.time): row.number for row in good})
        return self._said(204 if len(good) == len(rows) else 422)

    def _said(self, status: int, **headers: str) -> Answer:
        self.answers[str(status)] += 1
        return Answer(status, b'{"code":"stub","message":"as the test says"}', headers)

    def readings(self) -> Readings:
        """What it holds."""
        found: dict[str, list[tuple[str, int, float]]] = {kind: [] for kind in NUMBERED}
        for (kind, device, at), number in self.rows.items():
            found[kind].append((device, at, number))
        return numbered({
            kind: pa.table({
                "device": pa.array([row[0] for row in rows], pa.string()),
                "time": pa.array([row[1] for row in rows], pa.int64()),
                "value": pa.array([row[2] for row in rows], pa.float64()),
            })
            for kind, rows in found.items()
        })  # fmt: skip


@dataclass(frozen=True)
class _Row:
    kind: str
    device: str
    time: int
    number: float


def store_in_trouble(folder: Path, *, seconds: float = 8.0, rate: float = 1000.0) -> Report:
    """Write to a `Stub`; all good readings must arrive and all bad ones become dead letters."""
    report = Report(name="store in trouble")
    stub = Stub()
    with ExitStack() as stack:
        server = stack.enter_context(HttpStore(stub))
        settings = {
            "COURTYARD_STORE": "influx",
            "COURTYARD_INFLUX_URL": server.url,
            "COURTYARD_INFLUX_TOKEN": "only-for-tests",
            "COURTYARD_INFLUX_TIMEOUT_S": "5",
        }
        rig = stack.enter_context(Rig(folder, store="none", settings=settings))
        rig.start_ingest()
        load = rig.start_load(rate=rate, batch=5)
        time.sleep(seconds)
        load.finish()
        _, bad = without(acknowledged(load.acknowledged()), _BAD)
        refused = {str(Reason.STORE_REJECTED): bad}
        verify(rig, [load], report, refused=refused, good=lambda sent: without(sent, _BAD)[0], rows=stub.readings)
        letters = read_dead_letters(rig.spool, limit=100_000)
    report.figures |= {
        "bad": bad,
        **{f"answer {name}": count for name, count in sorted(stub.answers.items())},
        "requests before Retry-After": stub.early,
    }
    report.expect(len(letters) == bad, f"{len(letters)} dead letters are kept, not {bad}")
    report.expect(not stub.early, f"{stub.early} requests came before the store wanted any")
    report.expect(bad > 0, "there was no bad reading")
    wanted = {"204", "400", "413", "422", *_TROUBLES.values()}
    report.expect(set(stub.answers) == wanted, f"answers given: {sorted(stub.answers)}")
    return report


def poison_and_flood(folder: Path, *, rounds: int = 2, seconds: float = 8.0, rate: float = 400.0) -> Report:
    """One message in a hundred is poison and one device sends a hundred times as much: the others must not wait long.

    Quiet times and such with the trouble take turns, so that what else the machine does meets both alike.
    """
    report = Report(name="poison and flood")
    writes: list[tuple[float, bytes]] = []
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(folder))
        influxd = rig.influxd
        assert influxd is not None

        def then(request: Request, answer: Answer) -> Answer:
            if request.writes and answer.is_success:
                writes.append((time.time() * 1000, request.body))
            return answer

        proxy = stack.enter_context(HttpStore(forwarding(lambda: influxd.url, then)))
        rig.settings["COURTYARD_INFLUX_URL"] = proxy.url
        rig.start_ingest()
        loads = []
        poison: Counter[str] = Counter()
        for number in range(2 * rounds):
            troubled = bool(number % 2)
            spec: dict[str, float] = (
                {"hot": 100, "poison": 100, "rate": rate * (179 / 80)} if troubled else {"rate": rate}
            )
            load = rig.start_load(f"load-{number}", boot=number + 1, **spec)
            time.sleep(seconds)
            poison.update(load.finish()["poison"])
            loads.append(load)
            rig.until_empty()
        verify(rig, loads, report, refused=poison)
    delays = {troubled: _delays(writes, troubled=troubled) for troubled in (False, True)}
    quiet_ms, troubled_ms = (float(np.percentile(delays[each], 99)) for each in (False, True))
    report.figures |= {
        **{f"poison {reason}": count for reason, count in sorted(poison.items())},
        "p50 quiet ms": round(float(np.median(delays[False]))),
        "p50 troubled ms": round(float(np.median(delays[True]))),
        "p99 quiet ms": round(quiet_ms),
        "p99 troubled ms": round(troubled_ms),
        "p99 ratio": round(troubled_ms / quiet_ms, 2),
    }
    report.expect(poison.total() > 0, "there was no poison")
    report.expect(
        troubled_ms <= 2 * quiet_ms, f"the delay of the others rose from {quiet_ms:.0f} to {troubled_ms:.0f} ms"
    )
    return report


def _parsed(line: str) -> _Row:
    """A line of line protocol; our values hold no spaces."""
    head, fields, at = line.split(" ")
    measurement, *tags = head.split(",")
    kind = _KINDS[measurement]
    values = dict(each.split("=", 1) for each in fields.split(","))
    device = next(tag.removeprefix("device=") for tag in tags if tag.startswith("device="))
    return _Row(kind, device, int(at), float(values[NUMBERED[kind]]))


_KINDS = {discover()[kind].tables["telemetry"].measurement: kind for kind in NUMBERED}


def _is_bad(row: _Row, kind: str) -> bool:
    return row.kind == kind and row.number % _EVERY == _BAD[kind][1]


def _delays(writes: list[tuple[float, bytes]], *, troubled: bool) -> Floats:
    """From being made to being stored, in ms, of the readings of all devices but the one that floods."""
    found = []
    for at_ms, body in writes:
        for line in body.decode().splitlines():
            row = _parsed(line)
            if (int(row.number) // BOOT_NUMBERS % 2 == 0) == troubled and row.device != "north-charger-01":
                found.append(at_ms - row.time // 1_000_000)
    return np.array(found)
