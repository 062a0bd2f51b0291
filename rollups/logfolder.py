"""The write logs of all ingest processes, as a worker reads them."""

import fcntl
from pathlib import Path
from typing import TextIO

from rollups.errors import WriteLogError
from rollups.writelog import ROLLUPS, SUFFIX, WriteLog


class LogFolder:
    """The logs in a folder; those that come later too."""

    def __init__(self, folder: Path, *, reader: str = ROLLUPS, exclusive: bool = True) -> None:
        """Open the folder.

        Args:
            folder: where ingest has its spools.
            reader: who reads.
            exclusive: whether no other process may read in this name meanwhile.

        Raises:
            WriteLogError: the folder cannot be used, or another worker does.
        """
        self._folder = folder
        self._reader = reader
        self._logs: dict[Path, WriteLog] = {}
        self._lock: TextIO | None = None
        if not exclusive:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / f"{reader}.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self.close()
            raise WriteLogError(f"another {reader} worker runs on {folder}; there must be one alone") from exc
        except OSError as exc:
            self.close()
            raise WriteLogError(f"{folder} cannot be used: {exc.strerror}") from exc

    def __call__(self) -> list[WriteLog]:
        """The logs that are there; raises `WriteLogError`."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path not in self._logs:
                self._logs[path] = WriteLog(path, reader=self._reader)
        return list(self._logs.values())

    def close(self) -> None:
        """Let go of all."""
        for each in self._logs.values():
            each.close()
        if self._lock is not None:
            self._lock.close()
