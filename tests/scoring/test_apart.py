"""The truth shares nothing with what it judges."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"edges"}
"""What may be shared: the clock that says where buckets begin."""


def test_no_kernel_is_used_to_compute_the_truth() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (forbidden,) = [each["forbidden_modules"] for each in contracts if each.get("source_modules") == ["scoring"]]
    kernels = {f"aggregate.{file.stem}" for file in (ROOT / "aggregate").glob("*.py")}
    assert kernels - {f"aggregate.{name}" for name in SHARED} - {"aggregate.__init__"} <= set(forbidden)
