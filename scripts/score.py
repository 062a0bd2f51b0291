"""Score every served statistic against the simulators' truth, through the real mosquitto and influxd.

scripts/score                       22 compounds, 7 days, all faults: some ten minutes
scripts/score --days 1 --compounds jingyuan --faults skew,outages=0.5
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from scripts.parts import ROOT, StackError, part
from scripts.stack import Stack, started, stored
from tests.services import ServiceError

CONSOLE = Console(stderr=True)
STILL_S = 120.0
"""How long what is settled may stand still before the run gives up, in seconds."""


def main() -> int:
    """Run as the command line says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--days", type=int, default=7, help="days of history, the last of which ended at midnight UTC+8"
    )
    parser.add_argument("--compounds", default="", help="only these: ids, separated by commas")
    parser.add_argument("--faults", default="all", help="as for `python -m simulators`")
    parser.add_argument("--seed", type=int, default=22, help="seed of the simulated devices and of their faults")
    parser.add_argument("--batch", type=int, default=20, help="readings of one device in one message")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="courtyard-score-"))  # kept where something went wrong
    try:
        status = _run(folder, options)
    except (StackError, ServiceError) as exc:
        CONSOLE.print(f"[red]score:[/red] {exc}", highlight=False)
        status = 1
    if status == 0:
        shutil.rmtree(folder)
    else:
        CONSOLE.print(f"score: logs and data are kept in {folder}", soft_wrap=True)
    return status


def _run(folder: Path, options: argparse.Namespace) -> int:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=8)
    begin = midnight - timedelta(days=options.days)
    truth, summary = folder / "truth", folder / "simulators.json"
    with ExitStack() as context:
        stack = context.enter_context(started(folder))
        command = ["-m", "simulators", "--from", begin.isoformat(), "--to", midnight.isoformat(), "--speed", "max"]
        command += ["--seed", str(options.seed), "--batch", str(options.batch), "--faults", options.faults]
        command += ["--truth", str(truth), "--summary", str(summary)]
        if options.compounds:
            command += ["--compounds", options.compounds]
        simulators = context.enter_context(part("simulators", command, folder, stack.environment))
        began = time.monotonic()
        with CONSOLE.status("") as shown:
            while simulators.process.poll() is None:
                stack.check()
                done = _pending(stack)
                shown.update(f"{time.monotonic() - began:.0f} s: simulators publish, {done:,} messages wait in ingest")
                time.sleep(1)
            if simulators.process.returncode:
                simulators.check()
            _await_settled(stack)
        acknowledged = json.loads(summary.read_text())["acknowledged"]
        CONSOLE.print(
            f"{sum(acknowledged.values()):,} readings acknowledged and settled after {time.monotonic() - began:.0f} s"
        )
        rows = stored(stack.bucket)
        # Malformed messages and copies were sent besides; neither is a reading.
        different = {name: (rows[name], number) for name, number in acknowledged.items() if rows[name] != number}
        if different:
            CONSOLE.print(f"[red]stored, but acknowledged otherwise:[/red] {different}")
            return 1
        command = [sys.executable, "-m", "courtyard", "score", str(truth), "--url", stack.api]
        if options.compounds:
            command += ["--compounds", options.compounds]
        return subprocess.run(command, cwd=ROOT, env=dict(stack.environment), check=False).returncode


def _await_settled(stack: Stack) -> None:
    last, changed = -1, time.monotonic()
    while pending := _pending(stack):
        stack.check()
        if pending != last:
            last, changed = pending, time.monotonic()
        if time.monotonic() - changed > STILL_S:
            raise StackError(f"{pending:,} messages wait in ingest and do not become fewer; see {stack.ingest.log}")
        time.sleep(0.5)


def _pending(stack: Stack) -> int:
    """How many messages wait in the spool."""
    address = f"http://127.0.0.1:{stack.environment['COURTYARD_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("courtyard_ingest_spool_messages "):
                return int(float(line.split()[1]))
    raise StackError("the metrics of ingest do not say how many messages wait")


if __name__ == "__main__":
    sys.exit(main())
