"""The whole way of the data on real services, in processes of their own: nothing published is missing in InfluxDB."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.services
def test_what_a_simulated_hour_publishes_is_stored_exactly() -> None:
    # As `make stack ARGS="--verify"` does for five minutes at 60 × real time; here an hour in 15 seconds.
    command = [sys.executable, "-m", "scripts.stack", "--verify", "--minutes", "0.25", "--speed", "240", "--batch", "5"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
    environment |= {name: os.environ[name] for name in ("COURTYARD_INFLUXD", "COURTYARD_CACHE") if name in os.environ}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal, exactly" in done.stderr
    published, acknowledged, stored = re.findall(r"│ all .*", done.stdout)[0].replace(",", "").split("│")[2:5]
    assert int(published) == int(acknowledged) == int(stored)
    assert int(stored) > 10_000
