"""Hurt ingest, broker and store under load, and compare what is stored with what was acknowledged, exactly.

scripts/chaos all                        the long forms, one after another: some two hours, most of it the store away
scripts/chaos store-away --minutes 3     one of them
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from tests.chaos.broker_faults import Restarts, broker_restarts, resets_while_blocked, session_destroyed
from tests.chaos.full_disk import full_disk
from tests.chaos.kills import Kills, kills, kills_after_acceptance
from tests.chaos.report import Report
from tests.chaos.rig import ChaosError
from tests.chaos.spool_machine import SpoolMachine
from tests.chaos.store_away import StoreAway, store_away
from tests.chaos.store_faults import poison_and_flood, store_in_trouble
from tests.services import ServiceError

CONSOLE = Console(stderr=True)
_KILLS = 200
_READINGS = 1_000_000


def _store_away(folder: Path, minutes: float | None, rate: float) -> Report:
    away_s = 60 * (minutes or 60)
    return store_away(folder, StoreAway(away_s=away_s, before_s=min(120.0, max(20.0, away_s / 10)), rate=rate))


def _spool(folder: Path, minutes: float | None, rate: float) -> Report:
    del folder, minutes, rate
    report = Report(name="spool", figures={"runs": 1000})
    run_state_machine_as_test(
        SpoolMachine,
        settings=settings(
            max_examples=1000, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    return report


SCENARIOS: Mapping[str, Callable[[Path, float | None, float], Report]] = {
    "kills": lambda folder, _, __: kills(folder, Kills(kills=_KILLS, readings=_READINGS)),
    "kills-duck": lambda folder, _, __: kills(folder, Kills(kills=_KILLS, readings=_READINGS, store="duck")),
    "kills-accepted": lambda folder, _, __: kills_after_acceptance(folder, 40),
    "broker-term": lambda folder, _, __: broker_restarts(folder, Restarts(times=20, by=signal.SIGTERM)),
    "broker-kill": lambda folder, _, __: broker_restarts(folder, Restarts(times=20, by=signal.SIGKILL)),
    "resets": lambda folder, _, __: resets_while_blocked(folder, 20, blocked_s=40),
    "session": lambda folder, _, __: session_destroyed(folder, 10),
    "store-trouble": lambda folder, _, __: store_in_trouble(folder, seconds=60),
    "poison": lambda folder, _, __: poison_and_flood(folder, rounds=6, seconds=15),
    "disk": lambda folder, _, __: full_disk(folder, full_s=20),
    "spool": _spool,
    "store-away": _store_away,
}


def main() -> int:
    """Run what the command line names; the exit status is 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["all", *SCENARIOS])
    parser.add_argument("--minutes", type=float, help="how long the store is away (60)")
    parser.add_argument("--rate", type=float, default=200.0, help="readings a second meanwhile")
    parser.add_argument("--report", type=Path, help="write all figures to this file, as JSON")
    parser.add_argument("--keep", action="store_true", help="keep data and logs also where all went well")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    reports = []
    try:
        for name in SCENARIOS if options.name == "all" else [options.name]:
            reports.append(_run(name, options))
            if options.report is not None:
                options.report.write_text(json.dumps([each.to_json() for each in reports], indent=1))
    except KeyboardInterrupt:
        CONSOLE.print("chaos: ended before its time")
        return 130
    return 1 if any(report.faults for report in reports) else 0


def _run(name: str, options: argparse.Namespace) -> Report:
    folder = Path(tempfile.mkdtemp(prefix=f"courtyard-chaos-{name}-"))
    CONSOLE.print(f"[bold]{name}[/bold]  ·  data and logs in {folder}", soft_wrap=True)
    began = time.monotonic()
    try:
        report = SCENARIOS[name](folder, options.minutes, options.rate)
    except (ChaosError, ServiceError, AssertionError) as exc:
        report = Report(name=name, faults=[str(exc)])
    report.figures["took s"] = round(time.monotonic() - began)
    _show(report)
    if not report.faults and not options.keep:
        shutil.rmtree(folder)
    return report


def _show(report: Report) -> None:
    grid = Grid("", "found", title=report.name)
    grid.columns[1].justify = "right"
    for name, value in report.figures.items():
        grid.add_row(name, f"{value:,}" if isinstance(value, int | float) else str(value))
    Console().print(grid)
    for fault in report.faults:
        CONSOLE.print(f"[red]fault:[/red] {escape(str(fault))}", highlight=False)
    if not report.faults:
        CONSOLE.print("[green]kept[/green]")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
