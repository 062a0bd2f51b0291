"""The broker ends, is killed, or forgets; connections break."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ingest.options import IngestOptions
from mqtt.connection import Connection
from mqtt.options import BrokerOptions
from tests.chaos.report import Report
from tests.chaos.rig import ChaosError, LoadProcess, Rig, lasting_port
from tests.chaos.verdict import verify
from tests.chaos.wire import Wire
from tests.services import Mosquitto

_RATE = 500.0
_FAST = 2500.0
_HOLD_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Restarts:
    """How often, and how.

    Attributes:
        times: how often the broker ends.
        by: SIGTERM or SIGKILL.
        seed: of the moments.
    """

    times: int
    by: signal.Signals
    seed: int = 6


def broker_restarts(folder: Path, plan: Restarts) -> Report:
    """End the broker under load and start it again.

    Before each second SIGKILL ingest is held for a moment, so that there is something in the broker that gets lost.
    """
    report = Report(name=f"broker {plan.by.name}")
    random = Random(plan.seed)  # noqa: S311  (the same moments each time)
    # Saved often, so that a killed broker comes back with an old state, which is worse than none.
    broker = Mosquitto(folder=folder / "mosquitto", port=lasting_port(), settings={"autosave_interval": "3"})
    with Rig(folder, broker=broker) as rig:
        rig.start_ingest()
        load = rig.start_load(rate=_FAST if plan.by == signal.SIGKILL else _RATE)
        for number in range(plan.times):
            time.sleep(random.uniform(0.5, 2.0))
            held = plan.by == signal.SIGKILL and number % 2 == 0
            if held:
                _hold(rig, load)
            rig.broker.restart(plan.by)
            if held:
                rig.ingest.popen.send_signal(signal.SIGCONT)
            _until_connected(rig)
        time.sleep(2.0)
        result = verify(rig, [load], report, loses=plan.by == signal.SIGKILL)
    if plan.by == signal.SIGKILL:
        report.expect(len(result.missing) > 0, "nothing was lost, so that this shows nothing")
    report.figures["ends of the broker"] = plan.times
    return report


def resets_while_blocked(folder: Path, resets: int, *, blocked_s: float = 5.0) -> Report:
    """Reset the connection between ingest and broker while a write to the store hangs."""
    report = Report(name="resets while the writer is blocked")
    with Rig(folder) as rig, Wire(rig.broker.port) as wire:
        influxd = rig.influxd
        assert influxd is not None
        assert influxd.process is not None
        rig.settings["COURTYARD_MQTT_PORT"] = str(wire.port)
        rig.start_ingest()
        load = rig.start_load(rate=_RATE)
        time.sleep(1.0)
        influxd.process.send_signal(signal.SIGSTOP)  # it takes the request, and says nothing
        try:
            began, connected = time.monotonic(), []
            for number in range(resets):
                time.sleep(max(0.0, began + blocked_s * (number + 1) / (resets + 1) - time.monotonic()))
                connected.append(wire.reset() > 0)
            _until_connected(rig)
            time.sleep(1.0)
            backlog = rig.metric("spool_messages") or 0.0
            state = rig.metric('writer_state{state="idle"}')
        finally:
            influxd.process.send_signal(signal.SIGCONT)
        verify(rig, [load], report)
        report.figures |= {"resets": sum(connected), "connections": wire.made, "spooled while blocked": int(backlog)}
    report.expect(sum(connected) >= resets / 2, f"only {sum(connected)} of the resets met a connection")
    report.expect(backlog > 0, "nothing was spooled while the store hung: ingest stopped receiving")
    report.expect(state == 0, "the writer was not blocked")
    return report


def session_destroyed(folder: Path, times: int) -> Report:
    """A stranger takes the client id and begins with an empty session, while readings wait in that of ingest."""
    report = Report(name="session destroyed")
    with Rig(folder) as rig:
        rig.start_ingest()
        load = rig.start_load(rate=_FAST)
        for _ in range(times):
            time.sleep(1.0)
            _hold(rig, load)
            with Connection(BrokerOptions(port=rig.broker.port), client_id="courtyard-ingest", clean_start=True):
                time.sleep(0.2)
            rig.ingest.popen.send_signal(signal.SIGCONT)
            time.sleep(0.5)
            _until_connected(rig)
        time.sleep(2.0)
        lost = rig.metric("sessions_lost_total")
        result = verify(rig, [load], report, loses=True)
        said = rig.ingest.log.read_text().count("the broker has lost our session")
    report.figures |= {"sessions destroyed": times, "sessions_lost": lost, "said so": said}
    report.expect(lost == times, f"{lost} sessions are counted as lost, not {times}")
    report.expect(said == times, f"the log says so {said} times, not {times}")
    report.expect(len(result.missing) > 0, "nothing was lost, so that this shows nothing")
    return report


def _hold(rig: Rig, load: LoadProcess) -> None:
    """Stop ingest until the load has more acknowledged than ingest may have in flight: the rest is in the broker."""
    rig.ingest.popen.send_signal(signal.SIGSTOP)
    until = load.messages + int(1.3 * IngestOptions(spool=rig.spool).receive_maximum)
    deadline = time.monotonic() + _HOLD_S
    while load.messages < until:
        load.check()
        if time.monotonic() > deadline:
            raise ChaosError(f"the load is too slow: {load.tail()}")
        time.sleep(0.02)


def _until_connected(rig: Rig) -> None:
    rig.until(lambda: rig.metric("connected") == 1, 30, "ingest connects to the broker again")
