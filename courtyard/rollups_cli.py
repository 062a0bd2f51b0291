"""`python -m courtyard rollups`: keep the rollups, catch up once, or make them anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from courtyard import logs, wiring
from courtyard import rollups as parts
from courtyard.reporting import reported
from courtyard.settings import load
from courtyard.signals import until_signalled
from devices.errors import QueryError
from rollups.grains import QUARTER_NS
from rollups.worker import StoppedError, Told

rollups_app = typer.Typer(
    help="Roll readings up: partials by quarter, hour and day, and finished figures.", no_args_is_help=True
)


@rollups_app.command("run")
@reported
def run(*, once: Annotated[bool, typer.Option("--once", help="Catch up with the write log, and end.")] = False) -> int:
    """Keep the rollups up to what ingest writes."""
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    with until_signalled() as stopped:
        if not once:
            parts.run(settings, lambda worker: worker.run(stopped), serve=True)
            return 0
        with _progress() as told:
            parts.run(settings, lambda worker: worker.catch_up(stopped), told=told)
    return 0


@rollups_app.command("rebuild")
@reported
def rebuild(
    since: Annotated[
        str | None, typer.Option(help="From this day on, UTC (2025-06-01); all of the raw readings by default.")
    ] = None,
) -> int:
    """Make the rollups of all raw readings anew. It may be ended at any time, and goes on where the worker runs."""
    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    quarter = _quarter(since, settings.retention_days)
    folder = wiring.open_logs(settings, exclusive=False)
    found = folder()
    if not found:
        folder.close()
        raise QueryError("there is no write log here: run this where ingest keeps its spool (COURTYARD_SPOOL_DIR)")
    found[0].ask_everything(quarter)
    folder.close()
    with until_signalled() as stopped, _progress() as told:
        try:
            parts.run(settings, lambda worker: worker.catch_up(stopped), told=told)
        except StoppedError:
            typer.echo("ended; what is left is done by `rollups run`")
            return 1
    return 0


@contextmanager
def _progress() -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def told(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=of)

        yield told


def _quarter(since: str | None, days: int) -> int:
    if since is None:
        begin = datetime.now(UTC).timestamp() - days * 86_400
    else:
        try:
            begin = datetime.fromisoformat(since).replace(tzinfo=UTC).timestamp()
        except ValueError as exc:
            raise QueryError(f"--since {since[:20]!r} is no day; write 2025-06-01") from exc
    return max(0, int(begin) * 1_000_000_000 // QUARTER_NS)
