"""Failures of DuckDB, translated into our errors: the one place that knows theirs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from devices.errors import StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError

_LOCKED = re.compile(r"conflicting lock is held(?: in (?P<who>.*?\(PID (?P<pid>\d+)\)))?", re.IGNORECASE)
_MAX_TEXT = 300


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Turn whatever DuckDB raises within into an error of ours.

    Args:
        path: the file.
        doing: what is being tried, for the message: "cannot be opened".

    Raises:
        StoreUnavailableError: another process has the file open, the disk is full or failing, the store was closed.
        StoreDeniedError: the file may not be read or written by us.
        StoreRejectedError: the file is no DuckDB database, or the content is refused.
    """
    try:
        yield
    except (duckdb.Error, OSError) as exc:
        raise _translated(path, doing, exc) from exc


def _translated(path: Path, doing: str, exc: Exception) -> StoreError:
    said = re.sub(r"\s+", " ", str(exc))[:_MAX_TEXT]
    locked = _LOCKED.search(said)
    if locked:
        who = f" (process {locked['pid']})" if locked["pid"] else ""
        return StoreUnavailableError(
            f"{path} is open in another Courtyard{who}: stop that one, or give this one a COURTYARD_DATA_DIR of its own"
        )
    if "different configuration" in said:
        return StoreUnavailableError(f"{path} is open in this process already: share that store, or close it first")
    if isinstance(exc, PermissionError) or "Permission denied" in said or "read-only" in said.lower():
        return StoreDeniedError(f"{path} {doing}: {said}; check its owner and rights")
    if "not a valid DuckDB database" in said:
        return StoreRejectedError(f"{path} is no DuckDB database; move it away, or choose another COURTYARD_DATA_DIR")
    if isinstance(exc, duckdb.ConversionException | duckdb.OutOfRangeException):
        return StoreRejectedError(f"{path} {doing}: {said}")
    return StoreUnavailableError(f"{path} {doing}: {said}")
