"""Score every served statistic against the simulators' truth, through the real mosquitto and influxd.

scripts/score                       22 compounds, 7 days, all faults: some ten minutes
scripts/score --days 1 --compounds jingyuan --faults skew,outages=0.5
scripts/score --kill-rollups 10     the same with the rollup worker killed ten times while it works
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from rollups.writelog import WriteLog
from scripts.parts import ROOT, Part, StackError, part
from scripts.stack import Stack, started, stored
from tests.services import ServiceError

CONSOLE = Console(stderr=True)
STILL_S = 120.0
"""How long what is settled may stand still before the run gives up, in seconds."""

START_S = 60.0
"""How long the rollup worker may take to start."""


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
    parser.add_argument("--kill-rollups", type=int, default=0, help="kill the rollup worker so many times meanwhile")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="courtyard-score-"))  # kept where something went wrong
    try:
        status = _run(folder, options)
    except (StackError, ServiceError) as exc:
        CONSOLE.print(f"[red]score:[/red] {escape(str(exc))}", highlight=False)
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
        killer = Killer(stack.rollups, options.kill_rollups, random.Random(options.seed))  # noqa: S311  (no secret)
        with CONSOLE.status("") as shown:
            while simulators.process.poll() is None:
                stack.check()
                killer.look()
                done = _pending(stack)
                shown.update(f"{time.monotonic() - began:.0f} s: simulators publish, {done:,} messages wait in ingest")
                time.sleep(1)
            if simulators.process.returncode:
                simulators.check()
            _await_settled(stack, killer)
        acknowledged = json.loads(summary.read_text())["acknowledged"]
        CONSOLE.print(
            f"{sum(acknowledged.values()):,} readings acknowledged and settled after {time.monotonic() - began:.0f} s"
        )
        _await_rolled_up(stack, killer)
        CONSOLE.print(
            f"rolled up after {time.monotonic() - began:.0f} s, the worker killed {killer.kills} times while it worked"
        )
        _show_rollups(stack)
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


class Killer:
    """Kills the rollup worker again and again, each time a little after its start."""

    def __init__(self, part: Part, times: int, rng: random.Random) -> None:
        """Kill `part` so many times."""
        self.kills = 0
        self._part = part
        self._times = times
        self._rng = rng
        self._next = time.monotonic() + self._pause()

    @property
    def done(self) -> bool:
        """Whether it is dead often enough."""
        return self.kills >= self._times

    def look(self) -> None:
        """Kill it where it is time to."""
        if not self.done and time.monotonic() > self._next:
            self._part.kill()
            self.kills += 1
            self._next = time.monotonic() + self._pause()

    def _pause(self) -> float:
        # It takes about a second to start.
        return self._rng.uniform(1.5, 6.0)


def _await_rolled_up(stack: Stack, killer: Killer) -> None:
    path = Path(stack.environment["COURTYARD_DATA_DIR"]) / "spool.writelog"
    log = WriteLog(path)
    last, changed = -1, time.monotonic()
    while (waiting := log.waiting()) or not killer.done:
        stack.check()
        killer.look()
        if waiting != last:
            last, changed = waiting, time.monotonic()
        if time.monotonic() - changed > STILL_S:
            raise StackError(f"{waiting:,} marks wait in the write log; see {stack.rollups.log}")
        time.sleep(0.2)
    log.close()


def _show_rollups(stack: Stack) -> None:
    """What the worker counted since it was started last."""
    address = f"http://127.0.0.1:{stack.environment['COURTYARD_ROLLUPS_METRICS_PORT']}/metrics"
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:  # nosec B310
                said = answer.read().decode()
            break
        except urllib.error.URLError:  # it may have been killed a moment ago
            stack.check()
            if time.monotonic() > deadline:
                raise StackError(f"the rollup worker does not start; see {stack.rollups.log}") from None
            time.sleep(0.1)
    for line in said.splitlines():
        if line.startswith("courtyard_rollups_") and "_created" not in line:
            CONSOLE.print(line, highlight=False)


def _await_settled(stack: Stack, killer: Killer) -> None:
    last, changed = -1, time.monotonic()
    while pending := _pending(stack):
        stack.check()
        killer.look()
        if pending != last:
            last, changed = pending, time.monotonic()
        if time.monotonic() - changed > STILL_S:
            raise StackError(f"{pending:,} messages wait in ingest and do not become fewer; see {stack.ingest.log}")
        time.sleep(0.5)


def _pending(stack: Stack) -> int:
    """How many messages wait in the spool."""
    address = f"http://127.0.0.1:{stack.environment['COURTYARD_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:  # nosec B310
        for line in answer.read().decode().splitlines():
            if line.startswith("courtyard_ingest_spool_messages "):
                return int(float(line.split()[1]))
    raise StackError("the metrics of ingest do not say how many messages wait")


if __name__ == "__main__":
    sys.exit(main())
