"""SIGINT and SIGTERM as a wish to end, which each role fulfils in its own order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

_LOG = structlog.get_logger(__name__)


@contextmanager
def until_signalled() -> Iterator[Callable[[float], bool]]:
    """Turn SIGINT and SIGTERM into an orderly end.

    Yields:
        A function that waits up to the given seconds and says whether to end.
    """
    event = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        if not event.is_set():
            _LOG.info("ending", signal=signal.Signals(number).name)
        event.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event.wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
