"""Writes dashboards and alert rules: `python -m grafana.build`; with `--check` it fails where a file is stale."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from devices.kind import Kind
from devices.registry import discover
from grafana import alerts
from grafana.boards import boards

FOLDER = Path(__file__).parent / "dashboards"
ALERTS = Path(__file__).parent / "provisioning" / "alerting" / "courtyard.yaml"


def rendered(kinds: Mapping[str, Kind]) -> dict[Path, str]:
    """The text of every file, by its path."""
    files = {
        FOLDER / f"{name}.json": json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, board in boards(kinds).items()
    }
    return {**files, ALERTS: alerts.rendered(kinds.values())}


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
    for path in wrong:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
