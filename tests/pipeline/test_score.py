"""Every statistic equals the truth, through the real mosquitto and influxd, with every fault there is.

The rollup worker is killed while it works, and still what it leaves is right.
"""

import subprocess
import sys

import pytest

from scripts.parts import ROOT


@pytest.mark.services
def test_a_day_of_a_compound_scores_full_marks() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "scripts.score",
            "--days", "1", "--compounds", "jingyuan", "--seed", "5", "--kill-rollups", "3",
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert "figures compared" in done.stdout
    assert "killed 3 times" in done.stderr
