"""`python -m courtyard keys`, `people` and `audit`: who may do what, and who did."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from courtyard import wiring
from courtyard.desk import desk, moment
from courtyard.reporting import reported
from courtyard.settings import load
from devices.errors import SettingsError

if TYPE_CHECKING:
    from access.callers import Grant

keys_app = typer.Typer(help="API keys: make, list and revoke them.", no_args_is_help=True)
people_app = typer.Typer(help="People who sign in to the pages.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log: read it, and check that nobody has changed it.", no_args_is_help=True)

_NS_PER_DAY = 86_400 * 1_000_000_000
_COMPOUNDS = "For this compound alone; may be given several times. Default: all."
_SCOPES = "What may be done: read, acknowledge, manage, admin; may be given several times."


@keys_app.command("create")
@reported
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[list[str] | None, typer.Option(help=_SCOPES + " Default: read.")] = None,
    compound: Annotated[list[str] | None, typer.Option(help=_COMPOUNDS)] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Expires after so many days. Default: never.")] = None,
) -> int:
    """Make an API key and show it, this once."""
    with desk() as opened:
        made = opened.office.make_key(name, scope or ["read"], _known(compound), days)
    Console(stderr=True).print("The key, shown this once; only its digest is kept:")
    typer.echo(made.text)
    return 0


@keys_app.command("list")
@reported
def list_keys() -> int:
    """Show all keys; not the keys themselves."""
    table = Table("id", "name", "scopes", "compounds", "made", "by", "state", box=None)
    with desk() as opened:
        for key in opened.office.list_keys():
            table.add_row(
                *map(Text, (key.id, key.name, *_said(key.grant), moment(key.created_ns), key.created_by)),
                _state(key.revoked_ns, key.expires_ns),
            )
    Console().print(table)
    return 0


@keys_app.command("revoke")
@reported
def revoke_key(number: Annotated[str, typer.Argument(help="Its id, as `list` shows it.")]) -> int:
    """Refuse a key from now on; whoever runs refuses it within a second."""
    with desk() as opened:
        key = opened.office.revoke_key(number)
    typer.echo(f"{key.name} ({key.id}) is refused from now on")
    return 0


@people_app.command("add")
@reported
def add_person(
    login: Annotated[str, typer.Argument(help="What they sign in with.")],
    name: Annotated[str, typer.Argument(help="What they are called.")],
    scope: Annotated[list[str] | None, typer.Option(help=_SCOPES + " Default: read and acknowledge.")] = None,
    compound: Annotated[list[str] | None, typer.Option(help=_COMPOUNDS)] = None,
    subject: Annotated[
        str | None, typer.Option(help="Who they are to the identity provider; then they have no password.")
    ] = None,
) -> int:
    """Let somebody sign in to the pages. The password is asked for, or read from standard input."""
    with desk() as opened:
        chosen = _known(compound)
        password = None if subject is not None else _password()
        opened.office.add_person(
            login, name, scope or ["read", "acknowledge"], chosen, password=password, subject=subject
        )
    typer.echo(f"{name} may sign in as {login}")
    return 0


@people_app.command("list")
@reported
def list_people() -> int:
    """Show who may sign in."""
    table = Table("login", "name", "scopes", "compounds", "since", "comes by", "state", box=None)
    with desk() as opened:
        for each in opened.office.list_people():
            by = "password" if each.subject is None else "identity provider"
            table.add_row(
                *map(Text, (each.login, each.name, *_said(each.grant), moment(each.created_ns), by)),
                _state(each.disabled_ns, None),
            )
    Console().print(table)
    return 0


@people_app.command("password")
@reported
def set_password(login: Annotated[str, typer.Argument(help="Whose.")]) -> int:
    """Give somebody another password, and sign them out everywhere."""
    with desk() as opened:
        opened.office.set_password(login, _password())
    typer.echo(f"{login} has another password, and is signed out everywhere")
    return 0


@people_app.command("disable")
@reported
def disable_person(login: Annotated[str, typer.Argument(help="Who.")]) -> int:
    """Let somebody in no more, and sign them out everywhere."""
    with desk() as opened:
        opened.office.disable(login)
    typer.echo(f"{login} is let in no more")
    return 0


@audit_app.command("list")
@reported
def list_audit(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The most shown.")] = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON each.")] = False,
) -> int:
    """Show the newest lines, the latest first."""
    table = Table("", "when", "who", "what", "about", "more", box=None)
    with desk() as opened:
        for each in opened.audit.newest(limit):
            more = json.dumps(each.detail, ensure_ascii=False)
            cells = (str(each.id), moment(each.at_ns), each.who, each.what, each.about, more)
            if as_json:
                names = ("id", "at_ns", "who", "what", "about", "detail", "previous", "hash")
                typer.echo(json.dumps({name: getattr(each, name) for name in names}, ensure_ascii=False))
            else:
                table.add_row(*map(Text, cells))
    if not as_json:
        Console().print(table)
    return 0


@audit_app.command("verify")
@reported
def verify_audit(
    head: Annotated[str | None, typer.Option(help="A hash noted down earlier: it must still stand in the log.")] = None,
) -> int:
    """Check that no line was edited, added or taken out. Exit status 1 where one was."""
    with desk() as opened, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checking", total=None)
        verdict = opened.audit.verify(lambda done: progress.update(task, completed=done))
        known = head is None or opened.audit.has(head)
    if verdict.broken is not None:
        typer.echo(f"line {verdict.broken} is broken: {verdict.why}; the {verdict.lines} lines before it hold")
        return 1
    if not known:
        typer.echo(f"the {verdict.lines} lines hold, but {head} is none of theirs: lines were taken from the end")
        return 1
    typer.echo(f"{verdict.lines} lines hold; note down the newest hash: {verdict.head}")
    return 0


def _known(compounds: list[str] | None) -> list[str] | None:
    """Ids of compounds that there are; None for all."""
    if not compounds:
        return None
    inventory = wiring.load_inventory(load().inventory, wiring.kinds())
    unknown = [each for each in compounds if each not in inventory.compounds]
    if unknown:
        raise SettingsError(f"there is no compound {unknown[0]!r}; there are {', '.join(inventory.compounds)}")
    return compounds


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _said(grant: "Grant") -> tuple[str, str]:
    return ", ".join(sorted(grant.scopes)), "all" if grant.compounds is None else ", ".join(sorted(grant.compounds))


def _state(ended_ns: int | None, expires_ns: int | None) -> Text:
    if ended_ns is not None:
        return Text(f"refused since {moment(ended_ns)}", "red")
    if expires_ns is not None and expires_ns <= time.time_ns():
        return Text(f"expired {moment(expires_ns)}", "red")
    return Text("good" if expires_ns is None else f"good until {moment(expires_ns)}", "green")
