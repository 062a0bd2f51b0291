"""Drives connections in tests: step them until something holds."""

import time
from collections.abc import Callable

from mqtt.connection import Connection, Receipt, wait
from mqtt.packets import Message


def until(holds: Callable[[], bool], *connections: Connection, within_s: float = 10.0) -> None:
    """Step `connections` until `holds()`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, [each.lost_because for each in connections]
        for each in wait(connections, 0.05):
            each.step()


def received(connection: Connection, count: int, *others: Connection) -> list[Message]:
    """The next `count` messages."""
    found: list[Message] = []

    def enough() -> bool:
        found.extend(connection.take_messages())
        return len(found) >= count

    until(enough, connection, *others)
    return found


def receipts(connection: Connection, count: int) -> list[Receipt]:
    """The next `count` receipts."""
    found: list[Receipt] = []

    def enough() -> bool:
        found.extend(connection.take_receipts())
        return len(found) >= count

    until(enough, connection)
    return found


def settle(connection: Connection, for_s: float = 0.3) -> list[Message]:
    """What still comes within a while."""
    until_then = time.monotonic() + for_s
    while time.monotonic() < until_then:
        wait([connection], 0.05)
        connection.step()
    return connection.take_messages()
