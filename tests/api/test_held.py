"""An answer that is held: made once for a crowd, renewed beside those who ask."""

import threading
import time
from collections.abc import MutableMapping

import pytest

from api.held import Held
from devices.errors import StoreUnavailableError


def eventually(condition: object) -> None:
    end = time.monotonic() + 5
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_crowd_asks_once() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        time.sleep(0.1)
        return len(made)

    held, found = Held(make, 60), list[int]()
    threads = [threading.Thread(target=lambda: found.append(held())) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (made, set(found)) == ([1], {1})


def test_a_refusal_is_held_too() -> None:
    calls: list[int] = []

    def make() -> int:
        calls.append(1)
        raise StoreUnavailableError("away")

    held = Held(make, 60)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            held()
    assert len(calls) == 1


def test_while_it_is_renewed_nobody_waits() -> None:
    go, number = threading.Event(), [0]

    def make() -> int:
        if number[0]:
            go.wait(5)
        number[0] += 1
        return number[0]

    held = Held(make, 0.0, stale_s=60)
    assert held() == 1
    begun = time.monotonic()
    assert [held() for _ in range(5)] == [1] * 5
    assert time.monotonic() - begun < 1
    go.set()
    eventually(lambda: held() >= 2)


def test_beyond_that_all_wait() -> None:
    number = [0]

    def make() -> int:
        number[0] += 1
        return number[0]

    held = Held(make, 0.0)
    assert [held() for _ in range(3)] == [1, 2, 3]


def test_a_fault_of_ours_beside_is_logged_and_met_by_the_next(logs: list[MutableMapping[str, object]]) -> None:
    number = [0]

    def make() -> int:
        number[0] += 1
        if number[0] > 1:
            raise RuntimeError("broken")
        return 1

    held = Held(make, 0.0, stale_s=60)
    assert held() == 1
    assert held() == 1
    eventually(lambda: logs)
    with pytest.raises(RuntimeError):
        held()
    assert logs[0]["error"] == "RuntimeError"
