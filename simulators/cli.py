"""The command line: `python -m simulators`."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devices.errors import CourtyardError, SettingsError
from devices.inventory import Inventory
from devices.registry import Registry
from devices.registry import discover as discover_kinds
from mqtt.options import BrokerOptions
from simulators.behaviour import discover as discover_behaviours
from simulators.faults.options import FaultRates
from simulators.feed import real_ms
from simulators.fleet import Fleet
from simulators.options import Connections, FleetOptions, parse_speed, parse_time, selected
from simulators.report import ConsoleReport
from simulators.tally import Summary
from simulators.truth import TruthFolder

_INVENTORY = Path(__file__).resolve().parent.parent / "devices" / "inventory" / "fangzhi-road.yaml"
_HOUR_MS = 3_600_000

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    inventory: Annotated[
        Path, typer.Option(help="The inventory whose devices are simulated.", envvar="COURTYARD_INVENTORY")
    ] = _INVENTORY,
    start: Annotated[
        str, typer.Option("--from", help="Where simulated time begins: now, now-24h (s, m, h, d), or ISO 8601.")
    ] = "now",
    to: Annotated[str, typer.Option(help="Where it ends, written like --from, or none to go on for ever.")] = "none",
    speed: Annotated[
        str,
        typer.Option(
            help="How many times faster than real time the clock runs. max: history as fast as the broker takes it, "
            "and without --to live at real time from then on."
        ),
    ] = "max",
    seed: Annotated[int, typer.Option(help="The same seed gives the same readings.")] = 1,
    connections: Annotated[
        Connections,
        typer.Option(
            help="One MQTT connection for each device, or for each compound: a gateway, whose will speaks for the "
            "compound's first device."
        ),
    ] = Connections.COMPOUND,
    batch: Annotated[
        int, typer.Option(help="At most so many readings of one device and channel in one message; 1: single objects.")
    ] = 1,
    compounds: Annotated[str, typer.Option(help="Only these compounds: ids, separated by commas.")] = "",
    kinds: Annotated[str, typer.Option(help="Only these kinds of devices: names, separated by commas.")] = "",
    host: Annotated[
        str, typer.Option(help="The broker's name or address.", envvar="COURTYARD_MQTT_HOST")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The broker's port.", envvar="COURTYARD_MQTT_PORT")] = 1883,
    username: Annotated[
        str, typer.Option(help="User name; empty: none.", envvar="COURTYARD_MQTT_USERNAME", show_default=False)
    ] = "",
    password: Annotated[
        str,
        typer.Option(
            help="Password; better in the environment than here.", envvar="COURTYARD_MQTT_PASSWORD", show_default=False
        ),
    ] = "",
    ca_file: Annotated[
        str,
        typer.Option(
            help="Certificates to trust; given, the connection is TLS.",
            envvar="COURTYARD_MQTT_CA_FILE",
            show_default=False,
        ),
    ] = "",
    window: Annotated[
        int, typer.Option(help="At most so many messages without acknowledgement on one connection.")
    ] = 100,
    faults: Annotated[
        str,
        typer.Option(
            help="What goes wrong on purpose: none, all, or names separated by commas, each with a rate or its usual "
            "one: duplicates, reordering, lateness, batches, malformed, skew, resets, reboots, frozen, outages, "
            "uplinks."
        ),
    ] = "none",
    truth: Annotated[
        Path | None,
        typer.Option(help="Write what really happened into this folder, as Parquet, for `python -m courtyard score`."),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Write what was published and acknowledged to this file, as JSON.")
    ] = None,
) -> None:
    """Simulate the devices of an inventory, and publish what they report over MQTT 5 with QoS 1.

    A reading is kept until the broker acknowledges it with 0x00; while the broker is away or nobody has subscribed, it
    waits. Ctrl-C or SIGTERM: no new readings, outstanding acknowledgements are awaited, the summary is written.
    """
    console = Console(stderr=True)
    try:
        registry = discover_kinds()
        chosen = selected(_read(inventory, registry), compounds, kinds)
        timezone = next(iter(chosen.compounds.values())).timezone
        now_ms = real_ms()
        options = FleetOptions(
            start_ms=parse_time(start, now_ms, timezone),
            stop_ms=None if to.strip().lower() == "none" else parse_time(to, now_ms, timezone),
            speed=parse_speed(speed),
            seed=seed,
            connections=connections,
            batch=batch,
            window=window,
            faults=FaultRates.parse(faults),
        )
        broker = BrokerOptions(
            host=host,
            port=port,
            username=username or None,
            password=password or None,
            ca_file=_readable(Path(ca_file)) if ca_file else None,
        )
        end = options.stop_ms if options.stop_ms is not None or options.speed is not None else now_ms
        with ExitStack() as context:
            report = context.enter_context(
                ConsoleReport(console, start_ms=options.start_ms, stop_ms=end, timezone=timezone)
            )
            folder = None if truth is None else context.enter_context(TruthFolder(truth))
            if warning := _warning(options, now_ms):
                report.say(warning)
            fleet = Fleet(options, broker, chosen, registry, discover_behaviours(registry), report, folder)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: fleet.stop())
            result = fleet.run()
        _tell(console, result)
        if summary is not None:
            _write(summary, result)
    except CourtyardError as exc:
        console.print(f"error: {exc.message}", highlight=False, soft_wrap=True, markup=False)
        sys.exit(1)


def _read(path: Path, registry: Registry) -> Inventory:
    try:
        return Inventory.parse(path.read_text(encoding="utf-8"), registry)
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"the inventory {path} cannot be read: {exc}") from exc


def _readable(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as exc:
        raise SettingsError(f"the CA file {path} cannot be read: {exc}") from exc
    return path


def _warning(options: FleetOptions, now_ms: int) -> str | None:
    """What to say before a run whose clock will leave the real one behind by an hour, or None."""
    refused = "ingest refuses readings more than an hour ahead"
    if options.speed is None:
        if max(options.start_ms, options.stop_ms or 0) > now_ms + _HOUR_MS:
            return f"warning: the simulated time lies in the future; {refused}"
        return None
    if options.speed <= 1:
        ahead_ms, hours = options.start_ms - now_ms, 0.0
    else:
        # Real time until the simulated clock is an hour ahead, or until the run ends.
        hours = (now_ms + _HOUR_MS - options.start_ms) / (options.speed - 1) / _HOUR_MS
        ahead_ms = _HOUR_MS + 1
        if options.stop_ms is not None and (options.stop_ms - options.start_ms) / options.speed <= hours * _HOUR_MS:
            return None
    if ahead_ms <= _HOUR_MS:
        return None
    return (
        f"warning: {max(hours, 0) * 60:,.0f} minutes from now the simulated clock will be an hour ahead of the real "
        f"one; {refused}. Begin earlier (--from), end earlier (--to), or go slower (--speed)"
    )


def _tell(console: Console, result: Summary) -> None:
    published, acknowledged = sum(result.published.values()), sum(result.acknowledged.values())
    rate = acknowledged / max(result.seconds, 1e-9)
    lines = [f"{acknowledged:,} of {published:,} readings acknowledged in {result.seconds:,.1f} s ({rate:,.0f}/s)"]
    lines += [f"  {name:24} {result.acknowledged.get(name, 0):>12,}" for name in result.published]
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def _write(path: Path, result: Summary) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(result.as_json(), encoding="utf-8")
        part.replace(path)
    except OSError as exc:
        raise SettingsError(f"the summary {path} cannot be written: {exc}") from exc
