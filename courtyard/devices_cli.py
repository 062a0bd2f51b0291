"""`python -m courtyard devices` and `certificates`: who may publish, and the certificates of the installation."""

import csv
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from courtyard import wiring
from courtyard.desk import Desk, desk, moment
from courtyard.reporting import reported
from devices.errors import SettingsError
from devices.inventory import Inventory

if TYPE_CHECKING:
    from access.broker_files import User
    from access.enrolment import Enrolled

devices_app = typer.Typer(help="Who may publish: enrol devices and gateways, and revoke them.", no_args_is_help=True)

_PIECE = 100


@devices_app.command("enroll")
@reported
def enroll(  # noqa: PLR0913  (one parameter for each option)
    device: Annotated[list[str] | None, typer.Argument(help="Ids of devices.")] = None,
    compound: Annotated[list[str] | None, typer.Option(help="All devices of this compound; several times.")] = None,
    gateway: Annotated[
        list[str] | None, typer.Option(help="The gateway of this compound: it publishes for all of its devices.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the secrets here (CSV, or a folder of certificates), not to the screen.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All devices of the inventory.")] = False,
    certificate: Annotated[bool, typer.Option(help="Certificates in place of passwords; needs --out.")] = False,
) -> int:
    """Give devices a secret of their own, shown this once. Whoever had one has a new one."""
    with desk() as opened:
        from access.authority import Authority  # noqa: PLC0415  (what ingest does without)
        from access.enrolment import Enrolment  # noqa: PLC0415  (what ingest does without)

        inventory = wiring.load_inventory(opened.settings.inventory, wiring.kinds())
        users = _users(inventory, device or [], compound or [], gateway or [], everything=everything)
        if certificate and out is None:
            raise SettingsError("say where the certificates go: --out FOLDER")
        if out is not None and out.exists() and not out.is_dir():
            raise SettingsError(f"{out} exists; it is left as it is. Name another file")
        authority = Authority.opened(wiring.authority_dir(opened.settings)) if certificate else None
        how = "certificate" if certificate else "password"
        given: list[Enrolled] = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for begin in progress.track(range(0, len(users), _PIECE), description="enrolling"):
                piece = users[begin : begin + _PIECE]
                names = [each.name for each in piece]
                about = names[0] if len(names) == 1 else f"{len(names)} at once"
                opened.record("device.enroll", about, by=how, names=names)
                given += Enrolment(opened.database).enroll(piece, now_ns=time.time_ns(), authority=authority)
        publish(opened)
        _hand_out(given, out)
    typer.echo(f"{len(given)} enrolled; the broker takes them within two seconds", err=True)
    return 0


@devices_app.command("revoke")
@reported
def revoke(names: Annotated[list[str], typer.Argument(help="Ids of devices, or of gateways' compounds.")]) -> int:
    """Refuse devices or gateways from now on; those that are connected are thrown off."""
    with desk() as opened:
        from access.enrolment import Enrolment  # noqa: PLC0415  (what ingest does without)

        for name in names:
            opened.record("device.revoke", name)
        done = Enrolment(opened.database).revoke(names, now_ns=time.time_ns())
        publish(opened)
    for name in names:
        typer.echo(f"{name} is refused from now on" if name in done else f"{name} was not enrolled, or refused before")
    return 0 if set(done) == set(names) else 1


@devices_app.command("list")
@reported
def list_devices(
    compound: Annotated[str | None, typer.Option(help="Only those of this compound.")] = None,
    *,
    missing: Annotated[bool, typer.Option(help="Only devices of the inventory that are not enrolled.")] = False,
) -> int:
    """Show who is enrolled."""
    table = Table("name", "is", "publishes", "shows", "since", "state", box=None)
    with desk() as opened:
        from access.enrolment import Enrolment  # noqa: PLC0415  (what ingest does without)

        found = [each for each in Enrolment(opened.database).all() if compound in {None, each.user.compound}]
        if missing:
            inventory = wiring.load_inventory(opened.settings.inventory, wiring.kinds())
            there = {each.user.name for each in found if each.revoked_ns is None}
            for each in inventory.devices.values():
                if each.id not in there and compound in {None, each.compound}:
                    typer.echo(each.id)
            return 0
        for row in found:
            shows = "password" if row.serial is None else f"certificate until {moment(row.expires_ns or 0)}"
            state = (
                Text("good", "green") if row.revoked_ns is None else Text(f"refused {moment(row.revoked_ns)}", "red")
            )
            user = row.user
            table.add_row(*map(Text, (user.name, user.role, user.topic, shows, moment(row.created_ns))), state)
    Console().print(table)
    return 0


@reported
def certificates(
    folder: Annotated[
        Path, typer.Option(help="Where to write: FOLDER/SERVER/server.crt, server.key and ca.crt.")
    ] = Path("tls"),
    server: Annotated[
        list[str] | None, typer.Option(help="A server: NAME=HOST,HOST,ADDRESS; may be given several times.")
    ] = None,
    days_left: Annotated[int, typer.Option(min=0, help="Make anew what ends within so many days.")] = 30,
) -> int:
    """Make the installation's authority, certificates of its servers, and the broker's first list; safe to repeat."""
    with desk() as opened:
        from access.authority import Authority, write_private  # noqa: PLC0415  (what ingest does without)
        from courtyard.server_certificates import renewed  # noqa: PLC0415  (what ingest does without)

        authority = Authority.opened(wiring.authority_dir(opened.settings))
        for each in server or []:
            name, found, hosts = each.partition("=")
            if not found or not hosts or not name.isidentifier():
                raise SettingsError(
                    f"--server {each!r}: write NAME=HOST,HOST, for example mosquitto=mosquitto,localhost"
                )
            named = [host for host in map(str.strip, hosts.split(",")) if host]
            made = renewed(authority, folder / name, named, days_left=days_left)
            typer.echo(f"{folder / name}: {'made' if made else 'still good'}")
            if made:
                opened.record("certificate.server", name, hosts=hosts)
        write_private(folder / "trust" / "ca.crt", authority.certificate, mode=0o644)
        publish(opened)
    return 0


def _users(
    inventory: Inventory, named: Sequence[str], compounds: Sequence[str], gateways: Sequence[str], *, everything: bool
) -> list["User"]:
    from access.broker_files import Role  # noqa: PLC0415  (what ingest does without)
    from access.enrolment import user_of  # noqa: PLC0415  (what ingest does without)

    unknown = [each for each in compounds if each not in inventory.compounds]
    if unknown:
        raise SettingsError(f"there is no compound {unknown[0]!r} in the inventory")
    chosen = list(inventory.devices) if everything else list(named)
    chosen += [each.id for name in compounds for each in inventory.compounds[name].devices]
    users = [user_of(inventory, name, Role.DEVICE) for name in dict.fromkeys(chosen)]
    users += [user_of(inventory, name, Role.GATEWAY) for name in dict.fromkeys(gateways)]
    if not users:
        raise SettingsError("name devices, or --compound, --gateway or --all")
    return users


def _hand_out(given: Sequence["Enrolled"], out: Path | None) -> None:
    """Show or write what was given, readable by whoever runs this alone."""
    from access.authority import write_private  # noqa: PLC0415  (what ingest does without)

    if any(each.issued is not None for each in given) and out is not None:
        for each in given:
            if each.issued is not None:
                write_private(out / f"{each.name}.crt", each.issued.certificate)
                write_private(out / f"{each.name}.key", each.issued.key)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("client_id", "username", "password", "topic"))
    rows.writerows((each.name, each.name, each.secret, each.topic) for each in given)
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_private(out, text.getvalue().encode())


def publish(opened: Desk) -> None:
    """Tell the broker who is enrolled; raises `AuthorityError` and `RecordsError`."""
    from access.authority import Authority  # noqa: PLC0415  (what ingest does without)
    from access.enrolment import Enrolment  # noqa: PLC0415  (what ingest does without)
    from courtyard.broker_folder import write_broker_folder  # noqa: PLC0415  (what ingest does without)

    authority = Authority.opened(wiring.authority_dir(opened.settings))
    folder = wiring.broker_dir(opened.settings)
    write_broker_folder(folder, Enrolment(opened.database), authority, now_ns=time.time_ns())
