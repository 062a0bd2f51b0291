"""`python -m courtyard dead-letters`: what was refused, why, and once more."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from courtyard import letters, logs
from courtyard.reporting import reported
from courtyard.settings import Settings, load
from devices.errors import Reason
from ingest.deadletters import Wanted

letters_app = typer.Typer(
    help="Messages and readings that were refused: list them, show one, replay them.", no_args_is_help=True
)

_Reason = Annotated[Reason | None, typer.Option(help="Only those refused for this.")]
_Kind = Annotated[str | None, typer.Option(help="Only those of this kind.")]
_Device = Annotated[str | None, typer.Option(help="Only those of this device.")]
_Since = Annotated[str | None, typer.Option(help="Only those received since: 90m, 2h, 7d, or a time (UTC).")]


def _settings() -> Settings:
    settings = load()
    logs.configure("console", "error")
    return settings


@letters_app.command("list")
@reported
def list_letters(  # noqa: PLR0913  (one parameter for each option)
    reason: _Reason = None,
    kind: _Kind = None,
    device: _Device = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the payloads.")] = False,
) -> int:
    """List dead letters, the newest first."""
    settings = _settings()
    wanted = Wanted(reason=reason, kind=kind, device=device, since_ms=letters.since_ms(since))
    found = letters.find(settings, wanted, limit=limit)
    if as_json:
        typer.echo(json.dumps([each.as_json() for each in found], indent=1, ensure_ascii=False))
        return 0
    table = Table("id", "received", "reason", "kind", "topic", "bytes", "why", "replayed", box=None, pad_edge=False)
    table.columns[5].justify = "right"
    for each in found:
        letter = each.letter
        table.add_row(
            each.reference,
            letters.at(letter.time_ms),
            letter.reason,
            letter.kind,
            _shown(letter.topic),
            f"{letter.size:,}",
            _shown(letter.message),
            "" if letter.replayed_ms is None else letters.at(letter.replayed_ms),
        )
    console = Console()
    console.print(table)
    total = letters.count(settings, wanted)
    console.print(f"{len(found):,} of {total:,} dead letters" if total > len(found) else f"{total:,} dead letters")
    return 0


@letters_app.command()
@reported
def show(
    letter: Annotated[str, typer.Argument(help="Its number, as `list` shows it.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show one dead letter with its payload."""
    found = letters.get(_settings(), letter)
    values = found.as_json()
    if as_json:
        typer.echo(json.dumps(values, indent=1, ensure_ascii=False))
        return 0
    payload = values.pop("payload")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in values.items():
        table.add_row(name, "" if value is None else _shown(str(value)))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print("\n" + ("its content is not kept" if payload is None else _shown(payload)), highlight=False)
    return 0


@letters_app.command()
@reported
def replay(  # noqa: PLR0913, PLR0917  (one parameter for each option)
    ids: Annotated[list[str] | None, typer.Argument(help="Numbers, as `list` shows them; else all that apply.")] = None,
    reason: _Reason = None,
    kind: _Kind = None,
    device: _Device = None,
    since: _Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the oldest.")] = 100_000,
) -> int:
    """Have dead letters taken once more, as if they had just been sent: after the inventory or a kind was mended, say.

    What is refused again becomes a new dead letter.
    """
    settings = _settings()
    wanted = Wanted(reason=reason, kind=kind, device=device, since_ms=letters.since_ms(since))
    chosen = letters.plan(settings, wanted, ids or (), limit=limit)
    console = Console(stderr=True)
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("replaying", total=chosen.total)
        idle = letters.replay(settings, chosen, lambda more: progress.advance(task, more))
    typer.echo(f"{chosen.total:,} dead letters replayed; `python -m courtyard ledger` says what became of them")
    for why, number in chosen.left_out.items():
        typer.echo(f"{number:,} left out: {why}")
    for name in idle:
        typer.echo(f"{name}: ingest is not running; they are written when it is")
    return 0


def _shown(text: str) -> str:
    """Text of others, without what a terminal would obey."""
    return escape("".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text))
