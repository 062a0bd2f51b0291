"""How commands end: errors become one clear line on standard error, what a command returns its exit status."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from devices.errors import CourtyardError

_P = ParamSpec("_P")


def reported(command: Callable[_P, int | None]) -> Callable[_P, None]:
    """Turn our errors into one line on standard error, and what the command returns into its exit status."""

    @functools.wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except CourtyardError as exc:
            # As text: what a message quotes is no markup.
            Console(stderr=True).print(Text.assemble(("courtyard:", "red"), f" {exc.message}"))
            raise typer.Exit(1) from exc
        raise typer.Exit(status or 0)

    return run
