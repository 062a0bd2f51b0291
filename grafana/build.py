"""Writes the dashboards: `python -m grafana.build`; with `--check` it fails where a file is stale."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from devices.kind import Kind
from devices.registry import discover
from grafana import flux, panels

FOLDER = Path(__file__).parent / "dashboards"


def compound(kinds: Iterable[Kind]) -> models.Dashboard:
    """The dashboard of one compound: how fresh its data is, which devices are offline, and a row of panels per kind."""
    kinds = list(kinds)
    board = (
        Dashboard("Compound / 小区")
        .uid("courtyard-compound")
        .description("All devices of one compound, from raw readings. Built by grafana/build.py; do not edit here.")
        .tags(["courtyard"])
        .readonly()
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            QueryVariable("compound")
            .label("Compound / 小区")
            .datasource(panels.SOURCE)
            .query(flux.compounds())
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
        )
        .with_panel(panels.age(kinds))
        .with_panel(panels.offline(kinds))
    )
    for kind in kinds:
        board.with_row(Row(panels.bilingual(kind.title)))
        for panel in panels.of_kind(kind):
            board.with_panel(panel)
    return _numbered(board.build())


def rendered(kinds: Mapping[str, Kind]) -> dict[Path, str]:
    """The text of every dashboard file, by its path."""
    boards = {"compound": compound(kinds.values())}
    return {
        FOLDER / f"{name}.json": json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, board in boards.items()
    }


def stale(files: Mapping[Path, str]) -> list[Path]:
    """The files that are missing, differ, or belong to no dashboard."""
    differing = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return differing + sorted(path for path in FOLDER.glob("*.json") if path not in files)


def main(arguments: list[str] | None = None) -> int:
    """Write or check the files; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grafana.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file is stale")
    options = parser.parse_args(arguments)
    files = rendered(discover())
    wrong = stale(files)
    if options.check:
        for path in wrong:
            print(f"{path.name} is stale; run python -m grafana.build", file=sys.stderr)  # noqa: T201  (a command)
        return 1 if wrong else 0
    FOLDER.mkdir(exist_ok=True)
    for path in wrong:
        if path in files:
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


def _numbered(board: models.Dashboard) -> models.Dashboard:
    for number, panel in enumerate(board.panels or [], start=1):
        panel.id_val = number
    return board


if __name__ == "__main__":
    sys.exit(main())
