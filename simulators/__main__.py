"""Runs the command line: `python -m simulators --help`."""

from simulators.cli import app

app(prog_name="python -m simulators")
