"""Threads end together, and one that dies is seen."""

import threading
import time
from collections.abc import Callable

from structlog.testing import capture_logs

from courtyard.threads import Threads


def test_they_work_until_they_are_asked_to_end() -> None:
    threads, ended = Threads(), []

    def work(stopped: Callable[[float], bool]) -> None:
        while not stopped(0.01):
            pass
        ended.append(threading.current_thread().name)

    for name in ("one", "other"):
        threads.begin(name, work)
    threads.stop()
    assert sorted(ended) == ["one", "other"]
    assert threads.failure is None


def test_one_that_dies_is_told() -> None:
    threads = Threads()

    def work(_: Callable[[float], bool]) -> None:
        raise ZeroDivisionError("once")

    with capture_logs() as logs:
        threads.begin("worker", work)
        deadline = time.monotonic() + 60
        while threads.failure is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        threads.stop()
    assert threads.failure == "worker died: ZeroDivisionError: once"
    assert [(each["log_level"], each["thread"]) for each in logs] == [("critical", "worker")]
