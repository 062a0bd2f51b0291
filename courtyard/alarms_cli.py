"""`python -m courtyard alarms`: keep the alarms, list them, and take one on."""

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alarms.alarm import Alarm, Open, Wanted
from courtyard import logs, wiring
from courtyard.reporting import reported
from courtyard.settings import load
from courtyard.signals import until_signalled
from courtyard.status import COLOURS
from devices.alarms import UPLINK, Rule

alarms_app = typer.Typer(help="What needs hands: alarms by the rules of each kind.", no_args_is_help=True)


@alarms_app.command("run")
@reported
def run() -> int:
    """Follow what ingest writes, and raise and clear alarms."""
    from courtyard import alarms as parts  # noqa: PLC0415  (what ingest does without)

    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    with until_signalled() as stopped:
        parts.run(settings, stopped)
    return 0


@alarms_app.command("list")
@reported
def list_alarms(
    state: Annotated[Open, typer.Option(help="Which alarms.")] = Open.OPEN,
    compound: Annotated[str | None, typer.Option(help="Only those of this compound.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most shown.")] = 50,
) -> int:
    """Show alarms, the worst first."""
    from alarms.book import Book  # noqa: PLC0415  (what ingest does without)

    settings = load()
    known = wiring.kinds()
    rules = {(kind.name, rule.name): rule for kind in known.values() for rule in kind.rules}
    with closing(wiring.open_records(settings)) as database:
        total, found = Book(database).find(Wanted(state=state, compound=compound), limit=limit)
    table = Table("", "severity", "what", "where", "value", "since", "acknowledged", box=None)
    for alarm in found:
        grade = Text(alarm.severity, COLOURS[alarm.severity])
        # As text: what people wrote is no markup.
        table.add_row(str(alarm.id), grade, *map(Text, _cells(alarm, rules)))
    console = Console()
    console.print(table)
    console.print(f"{len(found)} of {total} {'' if state is Open.ALL else state} alarms")
    return 0


@alarms_app.command("acknowledge")
@reported
def acknowledge(
    number: Annotated[int, typer.Argument(help="The alarm's number, as `list` shows it.")],
    by: Annotated[str, typer.Option(help="Who takes it on.")],
    note: Annotated[str, typer.Option(help="What they say.")] = "",
) -> int:
    """Take an alarm on."""
    from alarms.book import Book  # noqa: PLC0415  (what ingest does without)

    with closing(wiring.open_records(load())) as database:
        alarm = Book(database).acknowledge(number, by=by, note=note, now_ns=time.time_ns())
    typer.echo(f"alarm {alarm.id} is {by}'s now")
    return 0


def _cells(alarm: Alarm, rules: Mapping[tuple[str, str], Rule]) -> tuple[str, str, str, str, str]:
    rule = UPLINK if not alarm.kind else rules.get((alarm.kind, alarm.rule))
    what = alarm.rule if rule is None else f"{rule.title.en} {rule.title.zh}"
    where = " ".join(each for each in (alarm.device or alarm.compound, alarm.part) if each)
    since = f"{datetime.fromtimestamp(alarm.since_ns / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
    taken = "" if alarm.acknowledged_by is None else f"{alarm.acknowledged_by}: {alarm.note}".rstrip(": ")
    return what, where, alarm.value, since, taken
