"""`python -m courtyard report`: a day or a month, on the terminal or as a file."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from courtyard import logs
from courtyard.report import tables
from courtyard.reporting import reported
from courtyard.settings import load
from devices.errors import SettingsError
from scoring.client import Client


@reported
def report(
    date: Annotated[
        str | None, typer.Argument(help="2026-11 for a month, 2026-11-30 for a day; this month if not given.")
    ] = None,
    compound: Annotated[str | None, typer.Option(help="Id of a compound; all together if not given.")] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of titles.")] = "en",
    output: Annotated[
        Path | None, typer.Option(help="Write its figures there: a file that ends in .csv, .parquet or .arrow.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The API's address; this installation's where it is not given.")
    ] = None,
) -> int:
    """Say what was down, how the facilities were used, what has changed, and what is likely to be full or fail next."""
    settings = load()
    logs.configure("console", "error")
    key = None if settings.api_key is None else settings.api_key.get_secret_value()
    client = Client(url or settings.api_url, key, ca_file=settings.api_ca_file)
    path = f"/v1/reports/{'day' if date is not None and date.count('-') > 1 else 'month'}"
    asked = {name: value for name, value in (("date", date), ("compound", compound)) if value is not None}
    if output is None:
        Console().print(tables(client.get(path, **asked), language))
        return 0
    ending = output.suffix.removeprefix(".")
    if ending not in {"csv", "parquet", "arrow"}:
        raise SettingsError(f"{output}: end its name with .csv, .parquet or .arrow")
    body = client.file(path, **asked, format=ending)
    try:
        output.write_bytes(body)
    except OSError as exc:
        raise SettingsError(f"{output} cannot be written: {exc.strerror}") from exc
    typer.echo(f"{output} written, {len(body):,} bytes")
    return 0
