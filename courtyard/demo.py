"""`make demo`: broker, store, ingest, core, API and 22 simulated compounds in one command, on embedded parts."""

import math
import os
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table

from api.models import Overview
from courtyard import wiring
from courtyard.embedded import embedded_broker, free_port
from courtyard.runner import Runner
from courtyard.settings import Settings
from devices.inventory import Inventory
from devices.kind import STATUS, TELEMETRY
from devices.registry import Registry
from ingest.ledger import Entry, per_kind, per_reason
from store.protocol import Store

_HISTORY = timedelta(days=1)
_LONGEST_RESUME = timedelta(days=7)
_REFRESH_S = 1.0
_OVERVIEW_S = 5.0
_PLAIN_S = 10.0
_SIMULATORS_STOP_S = 15.0
_SEED = 22
_RATE_OVER = 6
"""The rate is that of so many refreshes."""
_STATES = ("online", "offline", "unknown")


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What `demo` can be told.

    Attributes:
        batch: readings of one device in one message.
        speed: of the live part, as a multiple of real time.
        seconds: end by itself after this long, or None.
    """

    batch: int = 50
    speed: str = "max"
    seconds: float | None = None


def run(settings: Settings, options: DemoOptions, stopped: Callable[[float], bool]) -> int:
    """Run the demo until it is stopped.

    Args:
        settings: as loaded; the demo keeps to loopback and to embedded parts whatever they say.
        options: what it was told.
        stopped: waits up to the given seconds, and says whether to end.

    Returns:
        The exit status: 0, or 1 where a part died.
    """
    console = Console(soft_wrap=True)
    folder = settings.data_dir
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    with ExitStack() as stack:
        port = stack.enter_context(embedded_broker(free_port(settings.mqtt_port), folder))
        store = wiring.open_store(settings, known)
        stack.callback(store.close)
        rolled = wiring.open_rollups(settings, known)
        stack.callback(rolled.close)
        database = wiring.open_records(settings)
        stack.callback(database.close)
        api_port = free_port(settings.api_port)
        settings = settings.model_copy(
            update={"mqtt_port": port, "api_port": api_port, "metrics_port": free_port(settings.metrics_port)}
        )
        begin = resume_time(store, known, inventory, datetime.now(UTC))
        runner = stack.enter_context(
            Runner(settings, inventory, known, store, rolled, database=database, open_access=True)
        )
        simulators = stack.enter_context(_simulators(settings, begin, options))
        console.print(f"[bold]Courtyard[/bold]  {runner.api.url}  ·  MQTT 127.0.0.1:{port}  ·  data in {folder}")
        console.print(f"try: curl '{runner.api.url}/v1/compounds/{next(iter(inventory.compounds))}/occupancy'")
        console.print(
            f"readings from {begin:%Y-%m-%d %H:%M} UTC on; Ctrl-C ends everything, and a new start goes on.\n"
        )
        return _watch(console, runner, simulators, options, stopped)


def resume_time(store: Store, known: Registry, inventory: Inventory, now: datetime) -> datetime:
    """Where simulated history begins: after the newest reading in the store, or a day ago in an empty one.

    Args:
        store: where earlier readings are.
        known: the kinds.
        inventory: the compounds.
        now: the present.

    Returns:
        A time at most seven days before `now`.
    """
    since = now - _LONGEST_RESUME
    since_ns = int(since.timestamp() * 1e9)
    newest_ns = 0
    for kind in known.values():
        # A status too: ended devices are said to be offline a little after their last reading, and come back after it.
        for name in (TELEMETRY, STATUS):
            latest = store.latest(kind.tables[name], since_ns=since_ns, compounds=tuple(inventory.compounds))
            newest_ns = max(newest_ns, int(latest.time.max(initial=0)))
    if newest_ns == 0:
        return now - _HISTORY
    # A second more, so that no reading is made again under another sequence number.
    return min(now, datetime.fromtimestamp(newest_ns // 1_000_000_000 + 1, UTC))


@contextmanager
def _simulators(settings: Settings, begin: datetime, options: DemoOptions) -> Iterator[subprocess.Popen[bytes]]:
    """The simulated devices, in a process of their own so that they do not slow what they feed."""
    command = [
        sys.executable, "-m", "simulators",
        "--inventory", str(settings.inventory),
        "--host", "127.0.0.1",
        "--port", str(settings.mqtt_port),
        "--from", begin.isoformat(),
        "--speed", options.speed,
        "--seed", str(_SEED),
        "--connections", "compound",
        "--batch", str(options.batch),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_MQTT_")}
    with (settings.data_dir / "simulators.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  (our own program, with arguments of ours)
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches us first, and we end it in order
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_SIMULATORS_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _watch(
    console: Console,
    runner: Runner,
    simulators: subprocess.Popen[bytes],
    options: DemoOptions,
    stopped: Callable[[float], bool],
) -> int:
    summary = _Summary(runner)
    end = None if options.seconds is None else time.monotonic() + options.seconds
    last_line = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else nullcontext() as live:
        while not stopped(_REFRESH_S) and (end is None or time.monotonic() < end):
            failure = runner.failed
            if failure is None and simulators.poll() is not None:
                failure = f"the simulators ended with status {simulators.returncode}"
            if failure is not None:
                console.print(f"[red]{failure}[/red]; the logs are beside the data", highlight=False)
                return 1
            summary.refresh()
            if live is not None:
                live.update(summary.table(), refresh=True)
            elif time.monotonic() - last_line >= _PLAIN_S:
                last_line = time.monotonic()
                console.print(summary.line(), highlight=False)
    console.print("ending: what is spooled is written first ...")
    return 0


class _Summary:
    """What the live table shows; asked of the service every few seconds, and of ingest every second."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._written = deque([(time.monotonic(), self._total())], maxlen=_RATE_OVER)
        self._overview: Overview | None = None
        self._asked = -math.inf

    def refresh(self) -> None:
        now = time.monotonic()
        self._written.append((now, self._total()))
        if now - self._asked >= _OVERVIEW_S:
            self._overview = self._runner.service.overview()
            self._asked = time.monotonic()

    def table(self) -> Table:
        grid = Table(title="Courtyard", title_justify="left", show_header=False, box=None, padding=(0, 3, 0, 0))
        for name, text in self._rows():
            grid.add_row(name, f"[bold]{text}[/bold]")
        return grid

    def line(self) -> str:
        return "  ·  ".join(f"{name} {text}" for name, text in self._rows())

    def _rows(self) -> Iterator[tuple[str, str]]:
        (begin, before), (end, after) = self._written[0], self._written[-1]
        health = self._runner.ingest.health()
        yield "readings/s", f"{(after - before) / max(end - begin, 1e-9):,.0f}"
        yield "readings stored", f"{after:,}"
        if health.pending_messages:
            yield "in the spool", f"{health.pending_messages:,} messages"
        if refused := sum(per_reason(health.counts).values()):
            yield "refused", f"{refused:,}"
        if missing := sum(health.missing.values()):
            yield "missing", f"{missing:,}"
        if self._overview is None:
            return
        compounds = self._overview.compounds
        heard = [each for each in compounds if each.last_reading is not None]
        people = [each.people_inside for each in compounds if each.people_inside is not None]
        states = Counter[str]()
        for each in compounds:
            states.update({str(state): count for state, count in each.states.items()})
        yield "compounds", f"{len(heard)} of {len(compounds)} heard from"
        yield "people inside", f"{sum(people):,.0f}" if people else "–"
        yield "devices", ", ".join(f"{states[state]} {state}" for state in _STATES)
        ages = [each.last_reading_age_s for each in heard if each.last_reading_age_s is not None]
        if ages:
            yield "newest reading", f"{min(ages):,.0f} s old"

    def _total(self) -> int:
        return sum(per_kind(self._runner.ingest.health().counts, Entry.WRITTEN).values())
