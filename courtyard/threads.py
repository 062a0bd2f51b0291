"""Threads of ours: each works until it is asked to end, and where one dies, that is seen."""

import threading
from collections.abc import Callable

import structlog

Work = Callable[[Callable[[float], bool]], None]
"""Works until what it is given, which waits for some seconds, says to end."""

_END_S = 20.0
_LOG = structlog.get_logger(__name__)


class Threads:
    """Some threads that end together.

    Attributes:
        failure: which of them died, and why; None while none has.
    """

    def __init__(self) -> None:
        """Begin nothing yet."""
        self.failure: str | None = None
        self._asked = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, name: str, work: Work) -> None:
        """Have a thread do some work."""
        thread = threading.Thread(target=self._guarded, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Ask all to end, and wait for them for a while: one may be speaking to somebody who does not answer."""
        self._asked.set()
        for each in self._threads:
            each.join(_END_S)

    def _guarded(self, name: str, work: Work) -> None:
        try:
            work(self._asked.wait)
        except Exception as exc:  # noqa: BLE001  (whatever it is: it ends this thread, and must be seen)
            self.failure = f"{name} died: {type(exc).__name__}: {exc}"
            _LOG.critical("a thread died; restart its process", thread=name, exc_info=True)
