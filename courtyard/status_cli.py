"""`python -m courtyard status`: how all is, on one screen."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from courtyard import logs
from courtyard.reporting import reported
from courtyard.settings import load
from courtyard.status import screen
from scoring.client import Client

_WATCH_S = 5.0


@reported
def status(
    url: Annotated[
        str | None, typer.Option(help="The API's address; this installation's where it is not given.")
    ] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every five seconds, until Ctrl-C.")] = False,
) -> int:
    """Show whether all works, what became of the readings, what needs hands, and where.

    The exit status is 1 where the service is not ready, the ledger does not balance, or something critical is open.
    """
    settings = load()
    logs.configure("console", "error")
    key = None if settings.api_key is None else settings.api_key.get_secret_value()
    address = url or settings.api_url
    client, console = Client(address, key, ca_file=settings.api_ca_file), Console()
    shown, well = screen(client, address)
    if not watch:
        console.print(shown)
        return 0 if well else 1
    try:
        with Live(shown, console=console, screen=True) as live:
            while True:
                time.sleep(_WATCH_S)
                shown, well = screen(client, address)
                live.update(shown)
    except KeyboardInterrupt:
        return 0 if well else 1
