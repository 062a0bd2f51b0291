"""The write logs of all ingest processes, as the one worker reads them."""

import fcntl
from pathlib import Path
from typing import TextIO

from rollups.errors import WriteLogError
from rollups.writelog import SUFFIX, WriteLog

_LOCK = "rollups.lock"


class LogFolder:
    """The logs in a folder; those that come later too."""

    def __init__(self, folder: Path, *, exclusive: bool = True) -> None:
        """Open the folder.

        Args:
            folder: where ingest has its spools.
            exclusive: whether nobody else may read the logs meanwhile.

        Raises:
            WriteLogError: the folder cannot be used, or another worker does.
        """
        self._folder = folder
        self._logs: dict[Path, WriteLog] = {}
        self._lock: TextIO | None = None
        if not exclusive:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / _LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self.close()
            raise WriteLogError(f"another rollup worker runs on {folder}; there must be one alone") from exc
        except OSError as exc:
            self.close()
            raise WriteLogError(f"{folder} cannot be used: {exc.strerror}") from exc

    def __call__(self) -> list[WriteLog]:
        """The logs that are there; raises `WriteLogError`."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path not in self._logs:
                self._logs[path] = WriteLog(path)
        return list(self._logs.values())

    def close(self) -> None:
        """Let go of all."""
        for each in self._logs.values():
            each.close()
        if self._lock is not None:
            self._lock.close()
