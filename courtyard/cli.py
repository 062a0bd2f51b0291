"""The command line: thin commands over the parts. Errors become one clear line and exit status 1.

A command loads its parts when it is called: ingest shall not hold those of the others in memory.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from courtyard import logs, roles, wiring
from courtyard.access_cli import audit_app, keys_app, people_app
from courtyard.alarms_cli import alarms_app
from courtyard.devices_cli import certificates, devices_app
from courtyard.keeping_cli import backup, purge, restore
from courtyard.letters_cli import letters_app
from courtyard.report_cli import report
from courtyard.reporting import reported
from courtyard.rollups_cli import rollups_app
from courtyard.score_cli import score
from courtyard.secrets_file import write_secrets
from courtyard.settings import Settings, load
from courtyard.signals import until_signalled
from courtyard.status_cli import status
from courtyard.tokens import write_tokens
from ingest.workers import Worker

_DEMO_DIR = Path("var/demo")

app = typer.Typer(
    name="courtyard",
    help="Telemetry for the smart facilities of residential compounds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(letters_app, name="dead-letters")
app.add_typer(rollups_app, name="rollups")
app.add_typer(alarms_app, name="alarms")
app.add_typer(keys_app, name="keys")
app.add_typer(people_app, name="people")
app.add_typer(audit_app, name="audit")
app.add_typer(devices_app, name="devices")
app.command()(certificates)
app.command()(backup)
app.command()(restore)
app.command()(purge)
app.command()(score)
app.command()(status)
app.command()(report)


def _settings() -> Settings:
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    return settings


@app.command()
@reported
def demo(
    batch: Annotated[int, typer.Option(min=1, help="Readings of one device in one message.")] = 50,
    speed: Annotated[
        str, typer.Option(help="Pace: max (catch up, then real time), or a multiple of real time.")
    ] = "max",
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so many seconds.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the data is kept between starts.")] = _DEMO_DIR,
) -> int:
    """Run everything on embedded parts: broker, store, ingest, API and 22 simulated compounds."""
    from courtyard import demo as demo_module  # noqa: PLC0415  (see above)

    settings = load(None, data_dir=data_dir, store="duck", mqtt_host="127.0.0.1", api_host="127.0.0.1")
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "courtyard.log").open("a", encoding="utf-8") as log, until_signalled() as stopped:
        logs.configure(settings.log_format, settings.log_level, log)
        options = demo_module.DemoOptions(batch=batch, speed=speed, seconds=seconds)
        return demo_module.run(settings, options, stopped)


@app.command()
@reported
def up() -> int:
    """Run ingest, rollups, alarms and API in one process, against the broker and store of the settings."""
    with until_signalled() as stopped:
        return roles.up(_settings(), stopped)


@app.command()
@reported
def ingest(
    worker: Annotated[
        str | None, typer.Option(help="Share the messages with other processes: 2/4 is the second of four.")
    ] = None,
) -> int:
    """Run ingest alone: take readings from the broker, and keep them in the store."""
    with until_signalled() as stopped:
        return roles.ingest(_settings(), stopped, None if worker is None else Worker.parse(worker))


@app.command()
@reported
def api() -> int:
    """Run the API alone."""
    with until_signalled() as stopped:
        return roles.api(_settings(), stopped)


@app.command()
@reported
def init() -> int:
    """Make secrets, certificates, and what InfluxDB needs (buckets, retention, tokens); safe to repeat."""
    from courtyard.desk import desk  # noqa: PLC0415  (see above)
    from courtyard.devices_cli import publish  # noqa: PLC0415  (see above)

    settings = load()
    file, example = Path(".env"), Path(".env.example")
    unset = settings.api_key is None and settings.influx_admin_token is None
    if unset and example.exists() and not file.exists():
        made = write_secrets(example, file)
        typer.echo(f"{file} written, readable by you alone; {len(made)} secrets made")
    settings = _settings()
    if settings.store == "influx":
        tokens = wiring.provision(settings)
        written = {
            "ingest": tokens.ingest, "rollups": tokens.rollups, "api": tokens.api, "grafana": tokens.grafana,
        }  # fmt: skip
        for path in write_tokens(settings.data_dir / "tokens", written):
            typer.echo(f"token written: {path}")
        typer.echo(f"InfluxDB at {settings.influx_url} is ready: bucket {settings.influx_bucket!r}")
        return 0
    with desk() as opened:
        publish(opened)
    typer.echo(f"authority: {wiring.authority_dir(settings)}; what the broker reads: {wiring.broker_dir(settings)}")
    typer.echo("next: `courtyard people add`, `courtyard keys create`, `courtyard devices enroll`, `courtyard up`")
    return 0


@app.command()
@reported
def secrets(
    file: Annotated[Path, typer.Option(help="The file to write; never overwritten.")] = Path(".env"),
    example: Annotated[Path, typer.Option(help="The file to start from.")] = Path(".env.example"),
) -> int:
    """Make the secrets of an installation: a .env with random passwords, tokens and keys."""
    made = write_secrets(example, file)
    typer.echo(f"{file} written, readable by you alone; {len(made)} secrets made: {', '.join(made)}")
    return 0


@app.command()
@reported
def doctor() -> int:
    """Check every connection, and say what to do about each that fails."""
    from courtyard import doctor as doctor_module  # noqa: PLC0415  (see above)

    settings = load()
    logs.configure("console", "error")
    console = Console()
    table = Table("", "check", "found", box=None, pad_edge=False)
    failures = 0
    with console.status("checking ..."):
        for finding in doctor_module.examine(settings):
            failures += not finding.ok
            table.add_row("[green]✓[/green]" if finding.ok else "[red]✗[/red]", finding.name, finding.detail)
    console.print(table)
    return 1 if failures else 0


@app.command()
@reported
def ledger(
    device: Annotated[str | None, typer.Option(help="Show this device's channels.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show so many of the channels that miss most.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as /v1/ledger answers.")] = False,
) -> int:
    """Show what became of everything received, and what never came. Exit status 1 where it does not balance."""
    from courtyard import ledger as ledger_module  # noqa: PLC0415  (see above)

    settings = load()
    logs.configure("console", "error")
    found = ledger_module.read_ledger(settings, wiring.kinds(), device=device, limit=limit)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        ledger_module.show(found, Console())
    return 0 if found.balanced else 1
