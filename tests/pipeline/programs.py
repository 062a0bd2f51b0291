"""Starts our own programs as users do, in processes of their own, and asks their API."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "only-for-tests-only-for-tests"
_END_S = 60.0
_T = TypeVar("_T")


class ProgramError(Exception):
    """A program ended by itself, or did not become ready; the message holds the end of its output."""


def environment(**settings: object) -> dict[str, str]:
    """The environment without any of our settings, and with these: `mqtt_port=1` is COURTYARD_MQTT_PORT."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("COURTYARD_")}
    return base | {f"COURTYARD_{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def running(
    arguments: list[str], env: Mapping[str, str], log: Path, *, cwd: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` until the block ends; SIGTERM ends it, and it must end with status 0."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=dict(env), cwd=cwd, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
        end(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def end(process: subprocess.Popen[bytes], log: Path, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask a program to end; it must do so in time, with status 0."""
    if process.poll() is None:
        process.send_signal(number)
    status = process.wait(_END_S)
    if status != 0:
        raise ProgramError(f"status {status}\n{_tail(log)}")


def finish(arguments: list[str], env: Mapping[str, str], *, cwd: Path = ROOT, timeout_s: float = 120) -> str:
    """Run `python -m …` to its end, which must be status 0; its output."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ProgramError(f"status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def eventually(ask: Callable[[], _T | None], process: subprocess.Popen[bytes], log: Path, within_s: float) -> _T:
    """Ask again and again until there is an answer that is not None."""
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if process.poll() is not None:
            raise ProgramError(f"ended with status {process.returncode}\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ProgramError(f"not within {within_s:.0f} s\n{_tail(log)}")
        time.sleep(0.2)


def get(url: str, key: str | None = KEY) -> Any | None:  # noqa: ANN401  (any JSON)
    """The JSON that an address answers with, or None where nothing answers there yet or it is not ready (503)."""
    request = urllib.request.Request(url, headers={"X-API-Key": key} if key else {})  # noqa: S310  (loopback)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            if exc.code == 503:
                return None
            raise
    except OSError:
        return None


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-25:])
