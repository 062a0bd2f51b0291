"""Every call that the OpenAPI document allows, and many that it does not, by Schemathesis: all phases, all checks.

But for the live stream, which does not end: tests/live has its own.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.conftest import Served
from tests.pages.served import KEY

CONFIG = Path(__file__).parent / "schemathesis.toml"
PROGRAM = Path(sys.executable).parent / "schemathesis"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A small installation with rows, alarms, keys, a ledger and an audit log, in a process of its own."""
    made = Served(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.mark.timeout(600)
def test_nothing_fails(served: Served, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            str(PROGRAM), f"--config-file={CONFIG}", "run", f"{served.url}/openapi.json", "--checks=all",
            "--phases=examples,coverage,fuzzing,stateful", "--max-examples=20", "--seed=8", "--workers=1",
            f"--header=X-API-Key: {KEY}", "--exclude-path=/v1/stream", "--request-timeout=20", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
