"""A service as a process: a port, a folder, and the way it is started, stopped and started again."""

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"
START_S = 30.0
"""How long a service may take to answer after its start, in seconds."""
STOP_S = 20.0
"""How long a service may take to end after a signal before it is killed, in seconds."""


class ServiceError(Exception):
    """A service is not installed, did not start or refused a request; the message says what to do."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(kw_only=True)
class Service(ABC):
    """A process with a port and a folder: started, stopped and started again on the same data.

    Attributes:
        folder: holds its configuration, data and log; made where it is missing, and left in place.
        port: where it listens on loopback; a free one where 0.
    """

    folder: Path
    port: int = 0
    host: str = LOOPBACK
    process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def log(self) -> Path:
        """What it printed, over all of its starts."""
        return self.folder / "log.txt"

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ServiceError: it is not installed, ended at once, or did not answer in time.
        """
        if self.running:
            raise ServiceError(f"{self._name()} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = bool(self.port)
        for last in (False, False, True):
            if not chosen:
                self.port = free_port()
            try:
                self._launch()
            except ServiceError:
                # Another process may have taken the free port in between; a port asked for is not exchanged.
                if chosen or last:
                    raise
            else:
                break
        return self

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end; kill what does not end within `STOP_S`. Nothing where it has ended."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(with_signal)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop it with a signal, then start it on the same port and data."""
        self.stop(with_signal)
        self.start()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _launch(self) -> None:
        self._claim_port()
        command = self._command()
        with self.log.open("ab") as log:
            # A group of its own: Ctrl-C in a terminal reaches the starter, which then stops it in order.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, process_group=0)
        try:
            self._await_answer()
        except BaseException:
            self.stop()
            raise

    def _claim_port(self) -> None:
        # Where someone else listens, their answer would be taken for ours.
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the services do: past TIME_WAIT
            try:
                probe.bind((self.host, self.port))
            except OSError as exc:
                raise ServiceError(f"{self._name()}: port {self.port} of {self.host} is in use") from exc

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while self.running and not self._answers():
            if time.monotonic() > deadline:
                raise ServiceError(f"{self._name()} did not answer within {START_S:.0f} s:\n{self._tail()}")
            time.sleep(0.01)
        if not self.running:
            raise ServiceError(f"{self._name()} ended at its start:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _name(self) -> str:
        return type(self).__name__.lower()

    @abstractmethod
    def _command(self) -> list[str]:
        """How it is started."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it answers."""
