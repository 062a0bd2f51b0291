"""The store is away for long under load, and comes back."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.report import Report
from tests.chaos.rig import LoadProcess, Rig
from tests.chaos.verdict import verify

GROWTH_MB = 50.0
"""How much the memory of ingest may grow while the store is away."""
EMPTY_S = 600.0
"""How soon after its return the spool must be empty."""
_CAUGHT_UP_S = 2.0
_STEP_S = 0.5


@dataclass(frozen=True, kw_only=True)
class StoreAway:
    """How long, and under what load.

    Attributes:
        away_s: how long influxd is stopped, in seconds.
        before_s: how long everything runs before that, in seconds.
        sample_s: memory is measured once in so many seconds.
        rate: readings a second.
        batch: readings in a message.
    """

    away_s: float
    before_s: float = 60.0
    sample_s: float = 10.0
    rate: float = 200.0
    batch: int = 1


def store_away(folder: Path, plan: StoreAway) -> Report:
    """Run it on the real influxd; see `Report.faults`."""
    report = Report(name="store-away")
    with Rig(folder) as rig:
        assert rig.influxd is not None
        rig.start_ingest()
        load = rig.start_load(rate=plan.rate, batch=plan.batch)
        _watch(rig, load, report, "before", seconds=plan.before_s, every_s=plan.sample_s)
        before = rig.ingest.memory()
        written_before = load.messages
        rig.influxd.stop()
        _watch(rig, load, report, "away", seconds=plan.away_s, every_s=plan.sample_s)
        backlog = rig.metric("spool_messages") or 0.0
        backlog_bytes = rig.metric("spool_bytes") or 0.0
        away = max(each["rss_mb"] for each in report.samples if each["phase"] == "away")
        peak_away = rig.ingest.memory().most
        began = time.monotonic()
        rig.influxd.start()
        returned = time.monotonic()
        _drain(rig, load, report, plan)
        empty_s = time.monotonic() - returned
        after = rig.ingest.memory()
        verify(rig, [load], report)
    report.figures |= {
        "away_s": plan.away_s,
        "messages before": written_before,
        "backlog messages": int(backlog),
        "backlog MB": round(backlog_bytes / 1e6, 1),
        "influxd start s": round(returned - began, 1),
        "spool empty after s": round(empty_s, 1),
        "RSS before MB": round(before.now, 1),
        "peak before MB": round(before.most, 1),
        "RSS most while away MB": round(away, 1),
        "peak while away MB": round(peak_away, 1),
        "RSS growth while away MB": round(max(away, peak_away if peak_away > before.most else away) - before.now, 1),
        "RSS most at all MB": round(after.most, 1),
    }
    report.expect(backlog >= 0.8 * plan.away_s * plan.rate / plan.batch, f"only {backlog:,.0f} messages were spooled")
    growth = report.figures["RSS growth while away MB"]
    report.expect(growth <= GROWTH_MB, f"memory grew by {growth} MB")
    report.expect(empty_s <= EMPTY_S, f"the spool was empty only after {empty_s:.0f} s")
    return report


def _watch(rig: Rig, load: LoadProcess, report: Report, phase: str, *, seconds: float, every_s: float) -> None:
    began = time.monotonic()
    due = 0.0
    while (past := time.monotonic() - began) < seconds:
        load.check()
        rig.ingest.check()
        if past >= due:
            report.samples.append(_sample(rig, load, phase))
            due += every_s
        time.sleep(min(_STEP_S, seconds - past))
    report.samples.append(_sample(rig, load, phase))


def _drain(rig: Rig, load: LoadProcess, report: Report, plan: StoreAway) -> None:
    """Until what waited is written; the load goes on, so that what has just come always waits."""
    began = time.monotonic()
    due = 0.0
    while True:
        found = rig.metrics()
        if (
            found
            and found["spool_oldest_seconds"] < _CAUGHT_UP_S
            and found["spool_messages"] < plan.rate * _CAUGHT_UP_S
        ):
            return
        past = time.monotonic() - began
        if past > EMPTY_S:
            report.faults.append(f"the spool still holds {found.get('spool_messages')} messages after {past:.0f} s")
            return
        if past >= due:
            report.samples.append(_sample(rig, load, "back"))
            due += 1.0
        rig.ingest.check()
        time.sleep(0.1)


def _sample(rig: Rig, load: LoadProcess, phase: str) -> dict[str, Any]:
    memory, found = rig.ingest.memory(), rig.metrics()
    return {
        "time": round(time.time(), 1),
        "phase": phase,
        "rss_mb": round(memory.now, 2),
        "peak_mb": round(memory.most, 2),
        "spool_messages": found.get("spool_messages", -1),
        "spool_bytes": found.get("spool_bytes", -1),
        "acknowledged_messages": load.messages,
    }
