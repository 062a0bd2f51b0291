"""`python -m courtyard score`: what is served beside what the simulators know."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from courtyard import logs, wiring
from courtyard.reporting import reported
from courtyard.settings import load
from devices.inventory import Inventory
from scoring.client import Client
from scoring.compare import Row, compared
from scoring.scopes import Level, scopes
from scoring.truth import Truth

_FAILED = 1


@reported
def score(  # noqa: PLR0913  (the options of a command)
    truth: Annotated[Path, typer.Argument(help="The folder that `python -m simulators --truth FOLDER` wrote.")],
    url: Annotated[
        str | None, typer.Option(help="The API's address; this installation's where it is not given.")
    ] = None,
    every: Annotated[
        list[str] | None, typer.Option(help="Length of buckets, given once or several times; 1h and 1d by default.")
    ] = None,
    compounds: Annotated[str, typer.Option(help="Only these compounds: ids, separated by commas.")] = "",
    of: Annotated[
        list[Level] | None,
        typer.Option(help="Whose statistics, given once or several times; all by default. Of devices one a compound."),
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Show only statistics that do not pass.")] = False,
) -> int:
    """Compare every served statistic with the simulators' truth, bucket by bucket.

    Counts must be exact, integrals right to 1e-9, quantiles within 2 %, coverage to 1e-9. The exit status is 1 where a
    statistic does not pass.
    """
    settings = load()
    logs.configure("console", "error")
    known = wiring.kinds()
    inventory = wiring.load_inventory(settings.inventory, known)
    if compounds:
        inventory = _some(inventory, {name.strip() for name in compounds.split(",")})
    key = None if settings.api_key is None else settings.api_key.get_secret_value()
    client = Client(url or settings.api_url, key, ca_file=settings.api_ca_file)
    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        lengths = every or ["1h", "1d"]
        # What is asked of all compounds together is about more than some of them.
        levels = [level for level in of or Level if level is not Level.FLEET or not compounds]
        number = sum(1 for kind in known.values() for _ in scopes(inventory, kind, levels))
        task = progress.add_task("scoring", total=len(lengths) * number)
        for length in lengths:
            rows += compared(
                Truth(truth), client, known, inventory, length, levels=levels, told=lambda: progress.advance(task)
            )
    _show(rows, only_failed=failed)
    return _FAILED if not rows or not all(row.passed for row in rows) else 0


def _some(inventory: Inventory, names: set[str]) -> Inventory:
    for name in sorted(names - set(inventory.compounds)):
        raise typer.BadParameter(f"there is no compound {name!r}; known are {', '.join(inventory.compounds)}")
    return Inventory(inventory.name, {name: inventory.compounds[name] for name in inventory.compounds if name in names})


def _show(rows: list[Row], *, only_failed: bool) -> None:
    console = Console()
    table = Table(
        "kind", "statistic", "every", "buckets", "known", "worst error", "limit", "coverage error", "", box=None
    )
    for column in table.columns[3:8]:
        column.justify = "right"
    for row in rows:
        if only_failed and row.passed:
            continue
        verdict = "[green]pass[/green]" if row.passed else f"[red]FAIL[/red] {row.why or row.where}"
        cells = (f"{row.buckets:,}", f"{row.known:,}", f"{row.worst:.1e}", f"{row.limit:.0e}", f"{row.coverage:.1e}")
        table.add_row(row.kind, row.statistic, row.every, *cells, verdict)
    console.print(table)
    passed = sum(row.passed for row in rows)
    console.print(f"{passed} of {len(rows)} pass, {sum(row.buckets for row in rows):,} figures compared")
