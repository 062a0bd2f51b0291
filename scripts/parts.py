"""Our own processes, as `scripts/stack` starts, watches and ends them."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 60.0
"""How long a process may take to end after SIGTERM, in seconds."""


class StackError(Exception):
    """A part did not start, died, or lost something; the message says which and where its log is."""


@dataclass
class Part:
    """One process of ours, with its log; `start` starts another like it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    start: Callable[[], subprocess.Popen[bytes]]

    def check(self) -> None:
        """Raise where it has ended by itself."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise StackError(f"{self.name} ended with status {self.process.returncode}; {self.log} ends so:\n{tail}")

    def kill(self) -> None:
        """Kill it, and start it anew."""
        self.check()
        self.process.kill()
        self.process.wait()
        self.process = self.start()

    def end(self) -> int:
        """Ask it to end, and wait; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise StackError(f"{self.name} did not end within {STOP_S:.0f} s of SIGTERM; see {self.log}") from None


@contextmanager
def part(name: str, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Part]:
    """A Python process of ours, ended when the block ends."""
    log = folder / f"{name}.log"
    log.write_bytes(b"")

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=output, process_group=0
            )

    running = Part(name, start(), log, start)
    try:
        yield running
    finally:
        running.end()
