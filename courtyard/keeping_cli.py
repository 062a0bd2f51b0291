"""`python -m courtyard backup`, `restore`, `purge`: keep what is to be kept, and delete what is not."""

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from courtyard import logs, wiring
from courtyard.reporting import reported
from courtyard.settings import load
from devices.errors import SettingsError
from devices.names import is_id

_CONSOLE = Console(stderr=True)


@reported
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="The file to make. Default: courtyard-TIME.zip in the backup folder.")
    ] = None,
) -> int:
    """Save readings, rollups, records and spools into one file. On InfluxDB the installation may run meanwhile."""
    from courtyard import backup as module  # noqa: PLC0415  (what ingest does without)

    settings = load()
    logs.configure("console", "error")
    name = f"courtyard-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
    target = wiring.backup_dir(settings) / name if file is None else file
    with _CONSOLE.status("saving") as status:
        counts = module.backup(settings, target, status.update)
    with closing(wiring.open_records(settings)) as database:
        from access.audit import Audit  # noqa: PLC0415  (what ingest does without)

        Audit(database).write("command", "backup", target.name)
    total = sum(sum(each.values()) for each in counts.values())
    typer.echo(f"{target}: {total:,} rows of {sum(map(len, counts.values()))} tables, readable by you alone")
    return 0


@reported
def restore(file: Annotated[Path, typer.Argument(help="A backup.")]) -> int:
    """Load a backup into an installation that does not run. What was purged since does not come back."""
    from courtyard import backup as module  # noqa: PLC0415  (what ingest does without)

    settings = load()
    logs.configure("console", "error")
    with _CONSOLE.status("restoring") as status:
        lines = module.restore(settings, file, status.update)
    with closing(wiring.open_records(settings)) as database:
        from access.audit import Audit  # noqa: PLC0415  (what ingest does without)

        Audit(database).write("command", "restore", file.name)
    table = Table("table", "saved", "deleted since", "there now", "", box=None)
    for each in lines:
        mark = "[green]equal[/green]" if each.is_equal else "[red]differs[/red]"
        table.add_row(each.where, f"{each.saved:,}", f"{each.withheld:,}", f"{each.there:,}", mark)
    Console().print(table)
    return 0 if all(each.is_equal for each in lines) else 1


@reported
def purge(
    compound: Annotated[str, typer.Option(help="Whose data.")],
    before: Annotated[str, typer.Option(help="What lies before this: 2026-01-01, or with a time and offset.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Delete for good what is kept of a compound before a time, and prove it by counting. It outlives old backups."""
    from access.audit import Audit  # noqa: PLC0415  (what ingest does without)
    from courtyard import deletions, keeping  # noqa: PLC0415  (what ingest does without)
    from courtyard.purge import purge as work  # noqa: PLC0415  (what ingest does without)

    settings = load()
    logs.configure("console", "error")
    inventory = wiring.load_inventory(settings.inventory, wiring.kinds())
    zone = inventory.compounds[compound].timezone if compound in inventory.compounds else None
    if not is_id(compound):
        raise SettingsError(f"--compound {compound!r} is no id of a compound")
    before_ns = _instant(before, zone)
    if not yes:
        typer.confirm(f"delete for good all that is kept of {compound} before {before}?", abort=True)
    ordered = deletions.Deletion.ordered(compound, before_ns, "command")
    with closing(wiring.open_records(settings)) as database, keeping.opened(settings) as parts:
        # Noted first: if this is cut short, a backup cannot bring back what it did not come to.
        deletions.note(wiring.backup_dir(settings), ordered)
        deletions.keep(database, [ordered])
        Audit(database).write("command", "purge", compound, before=before, id=ordered.id)
        with _CONSOLE.status("deleting") as status:
            spools = keeping.spools(settings)
            found = list(work(compound, before_ns, parts, database, spools, status.update))
        left = sum(each.after for each in found)
        Audit(database).write(
            "command", "purge.done", compound, id=ordered.id, deleted=sum(each.before for each in found), left=left
        )
    table = Table("table", "rows before", "rows after", box=None)
    for each in found:
        if each.before or each.after:
            table.add_row(each.where, f"{each.before:,}", f"{each.after:,}")
    Console().print(table)
    typer.echo(f"{sum(each.before for each in found):,} rows of {compound} before {before} deleted, {left} left")
    return 1 if left else 0


def _instant(text: str, zone: object) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise SettingsError(f"--before {text!r}: write a day like 2026-01-01 or a time like 2026-01-01T12:00") from exc
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone or UTC)  # type: ignore[arg-type]  # a time zone
    result = round(found.timestamp()) * 1_000_000_000
    if result > time.time_ns():
        raise SettingsError(f"--before {text} lies in the future; what is not there yet cannot be deleted")
    return result
