"""SIGKILL of ingest, again and again under load, and exactly between the store's acceptance and the trim."""

import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.http_store import Answer, HttpStore, Request, forwarding
from tests.chaos.report import Report
from tests.chaos.rig import LoadProcess, Rig
from tests.chaos.verdict import verify

REDELIVERED = 0.01
"""The share of readings that may reach the spool more than once."""
_STARTING_S = 2.0
_UP_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Kills:
    """How often, and under what load.

    Attributes:
        kills: how often ingest is killed.
        readings: how many readings are sent meanwhile, at least.
        period_s: the load is paced so that these take so many seconds for each kill.
        batch: readings in a message.
        store: "influx" or "duck".
        seed: of the moments.
    """

    kills: int
    readings: int
    period_s: float = 3.0
    batch: int = 20
    store: str = "influx"
    seed: int = 6


def kills(folder: Path, plan: Kills) -> Report:
    """Kill at random moments: a fifth of them while it starts, the others while it receives and writes."""
    report = Report(name=f"kills ({plan.store})")
    random = Random(plan.seed)  # noqa: S311  (the same moments each time)
    with Rig(folder, store=plan.store) as rig:
        rig.start_ingest()
        load = rig.start_load(rate=plan.readings / (plan.kills * plan.period_s), batch=plan.batch)
        for _ in range(plan.kills):
            if random.random() < 0.2:
                time.sleep(random.uniform(0, _STARTING_S))
            else:
                rig.until(lambda: rig.metric("connected") == 1, 60, "ingest connects to the broker")
                time.sleep(random.uniform(0, _UP_S))
            rig.ingest.check()
            load.check()
            rig.ingest.kill()
            rig.start_ingest(wait=False)
        rig.until(lambda: load.messages * plan.batch >= plan.readings, plan.kills * plan.period_s + 60, "all are sent")
        load.finish()
        report.figures["kills"] = plan.kills
        _finish(rig, load, report)
    return report


def kills_after_acceptance(folder: Path, kills: int, *, rate: float = 1000.0, seed: int = 6) -> Report:
    """Kill right after the store has accepted a write, before ingest can learn of it."""
    report = Report(name="kills after acceptance")
    random = Random(seed)  # noqa: S311  (the same moments each time)
    lock = threading.Lock()
    lines: Counter[bytes] = Counter()
    waiting = [0]  # accepted writes until the next kill; 0: none
    killed: list[int] = []

    with ExitStack() as stack:
        rig = stack.enter_context(Rig(folder))
        influxd = rig.influxd
        assert influxd is not None

        def then(request: Request, answer: Answer) -> Answer | None:
            if not (request.writes and answer.is_success):
                return answer
            with lock:
                lines.update(request.body.splitlines())
                if waiting[0] != 1:
                    waiting[0] = max(0, waiting[0] - 1)
                    return answer
                waiting[0] = 0
                process = rig.ingest
                killed.append(process.popen.pid)
                process.popen.kill()
            return None

        proxy = stack.enter_context(HttpStore(forwarding(lambda: influxd.url, then)))
        rig.settings["COURTYARD_INFLUX_URL"] = proxy.url
        rig.start_ingest()
        load = rig.start_load(rate=rate)
        for number in range(kills):
            with lock:
                waiting[0] = random.randint(1, 4)
            rig.ingest.popen.wait(60)
            rig.start_ingest()
            report.expect(len(killed) == number + 1, f"ingest ended by itself: {rig.ingest.tail()}")
        load.finish()
        _finish(rig, load, report)
    again = sum(lines.values()) - len(lines)
    report.figures |= {"kills": len(killed), "readings accepted again": again}
    report.expect(again > 0, "no reading was written again: no kill came between acceptance and trim")
    return report


def _finish(rig: Rig, load: LoadProcess, report: Report) -> None:
    """Let ingest write everything, and compare."""
    rig.until(lambda: rig.metric("connected") == 1, 60, "ingest connects to the broker")
    verify(rig, [load], report)
    share = report.figures["ledger redelivered"] / max(1, report.figures["acknowledged"])
    report.figures["redelivered share"] = round(share, 6)
    report.expect(share < REDELIVERED, f"{share:.2%} of the readings were received again")
