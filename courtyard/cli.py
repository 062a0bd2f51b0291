"""The command line: thin commands over the parts. Errors become one clear line and exit status 1."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from courtyard import demo as demo_module
from courtyard import doctor as doctor_module
from courtyard import logs, roles, wiring
from courtyard.runner import until_signalled
from courtyard.secrets_file import write_secrets
from courtyard.settings import Settings, load
from courtyard.tokens import write_tokens
from devices.errors import CourtyardError

_DEMO_DIR = Path("var/demo")

app = typer.Typer(
    name="courtyard",
    help="Telemetry for the smart facilities of residential compounds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_P = ParamSpec("_P")


def _reported(command: Callable[_P, int | None]) -> Callable[_P, None]:
    """Turn our errors into one line on standard error, and what the command returns into its exit status."""

    @functools.wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except CourtyardError as exc:
            Console(stderr=True).print(f"[red]courtyard:[/red] {exc.message}", highlight=False)
            raise typer.Exit(1) from exc
        raise typer.Exit(status or 0)

    return run


def _settings() -> Settings:
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    return settings


@app.command()
@_reported
def demo(
    batch: Annotated[int, typer.Option(min=1, help="Readings of one device in one message.")] = 50,
    speed: Annotated[
        str, typer.Option(help="Pace: max (catch up, then real time), or a multiple of real time.")
    ] = "max",
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so many seconds.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the data is kept between starts.")] = _DEMO_DIR,
) -> int:
    """Run everything on embedded parts: broker, store, ingest, API and 22 simulated compounds."""
    settings = load(None, data_dir=data_dir, store="duck", mqtt_host="127.0.0.1", api_host="127.0.0.1")
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "courtyard.log").open("a", encoding="utf-8") as log, until_signalled() as stopped:
        logs.configure(settings.log_format, settings.log_level, log)
        options = demo_module.DemoOptions(batch=batch, speed=speed, seconds=seconds)
        return demo_module.run(settings, options, stopped)


@app.command()
@_reported
def up() -> int:
    """Run ingest and API in one process, against the broker and store of the settings."""
    with until_signalled() as stopped:
        return roles.up(_settings(), stopped)


@app.command()
@_reported
def ingest() -> int:
    """Run ingest alone: take readings from the broker, and keep them in the store."""
    with until_signalled() as stopped:
        return roles.ingest(_settings(), stopped)


@app.command()
@_reported
def api() -> int:
    """Run the API alone."""
    with until_signalled() as stopped:
        return roles.api(_settings(), stopped)


@app.command()
@_reported
def init() -> int:
    """Make organisation, bucket, retention and tokens in InfluxDB; safe to repeat."""
    settings = _settings()
    tokens = wiring.provision(settings)
    written = {"ingest": tokens.ingest, "api": tokens.api, "grafana": tokens.grafana}
    for path in write_tokens(settings.data_dir / "tokens", written):
        typer.echo(f"token written: {path}")
    typer.echo(f"InfluxDB at {settings.influx_url} is ready: bucket {settings.influx_bucket!r}")
    return 0


@app.command()
@_reported
def secrets(
    file: Annotated[Path, typer.Option(help="The file to write; never overwritten.")] = Path(".env"),
    example: Annotated[Path, typer.Option(help="The file to start from.")] = Path(".env.example"),
) -> int:
    """Make the secrets of an installation: a .env with random passwords, tokens and keys."""
    made = write_secrets(example, file)
    typer.echo(f"{file} written, readable by you alone; {len(made)} secrets made: {', '.join(made)}")
    return 0


@app.command()
@_reported
def doctor() -> int:
    """Check every connection, and say what to do about each that fails."""
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
