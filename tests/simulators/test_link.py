"""A link lets go of a message only when its PUBACK says 0x00."""

from typing import cast

import pytest

from devices.errors import BrokerError
from mqtt.connection import Connection, Receipt
from simulators.encode import Message
from simulators.link import Link
from simulators.tally import Tally


class FakeConnection:
    """Takes publishes, and answers what a test says."""

    def __init__(self, window: int = 1000) -> None:
        """Take so many publishes at a time."""
        self.is_open = True
        self.window = window
        self.lost_because: str | None = None
        self.sent: list[tuple[int, bytes]] = []
        self._receipts: list[Receipt] = []
        self._mid = 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        if not self.is_open:
            raise BrokerError(f"{topic} {retain}")
        self._mid += 1
        self.sent.append((self._mid, payload))
        return self._mid

    def answer(self, code: int = 0, count: int | None = None) -> None:
        """Answer what has been sent, or the first `count` of it."""
        count = len(self.sent) if count is None else count
        self._receipts += [Receipt(mid, code) for mid, _ in self.sent[:count]]
        self.sent = self.sent[count:]

    def step(self) -> bool:
        return True

    def flush(self) -> None:
        """Send nothing."""

    def take_receipts(self) -> list[Receipt]:
        taken, self._receipts = self._receipts, []
        return taken


class Rig:
    """A link on a fake connection, and ten messages."""

    def __init__(self, window: int = 1000, broker_window: int = 1000) -> None:
        """Make both."""
        self.connection = FakeConnection(broker_window)
        self.tally = Tally()
        self.link = Link(cast("Connection", self.connection), (0,), window, self.tally)
        self.link.opened([], 0)

    def add(self, count: int) -> list[bytes]:
        payloads = [b"%d" % n for n in range(count)]
        for n, payload in enumerate(payloads):
            self.link.add(Message(n, 0, "t", payload, (("gate_pass", 1),)))
        return payloads

    @property
    def sent(self) -> list[bytes]:
        return [payload for _, payload in self.connection.sent]

    def lose(self) -> None:
        """Lose the connection."""
        self.connection.is_open = False
        self.connection.lost_because = "gone"

    def reopen(self, now: float) -> None:
        """Open it again, with nothing sent on it yet."""
        self.connection.is_open = True
        self.connection.sent.clear()
        self.link.opened([Message(99, 0, "t", b"hello", (("gate_status", 1),))], now)

    def counts(self) -> tuple[int, int, int]:
        summary = self.tally.summary(boot=0, seed=0, seconds=1)
        return summary.published.get("gate_pass", 0), summary.acknowledged.get("gate_pass", 0), self.tally.waiting


def test_messages_go_in_order_and_are_counted() -> None:
    rig = Rig()
    payloads = rig.add(10)
    assert rig.link.can_send(0)
    rig.link.pump(0)
    assert rig.sent == payloads
    assert rig.counts() == (10, 0, 10)
    rig.connection.answer()
    rig.link.pump(0)
    assert rig.counts() == (10, 10, 0)
    assert rig.link.is_idle


@pytest.mark.parametrize(("window", "broker_window"), [(3, 1000), (1000, 3)])
def test_the_window_is_the_smaller_one(window: int, broker_window: int) -> None:
    rig = Rig(window, broker_window)
    payloads = rig.add(10)
    rig.link.pump(0)
    assert rig.sent == payloads[:3]
    assert not rig.link.can_send(0)
    rig.connection.answer(count=1)
    rig.link.pump(0)
    assert rig.sent == payloads[1:4]


@pytest.mark.parametrize("code", [0x10, 0x80, 0x87, 0x97])
def test_any_other_code_is_sent_again_after_a_pause(code: int) -> None:
    rig = Rig()
    rig.add(5)
    rig.link.pump(0)
    rig.connection.answer(code)
    rig.link.pump(0)
    assert rig.sent == []
    assert rig.counts() == (5, 0, 5)
    assert rig.tally.refused == {code: 5}
    rig.link.pump(10)
    assert len(rig.sent) == 1  # one to try, the others wait for how it goes
    rig.connection.answer(code)
    rig.link.pump(10)
    assert rig.sent == []
    rig.link.pump(20)
    assert len(rig.sent) == 1
    rig.connection.answer()
    rig.link.pump(20)
    assert len(rig.sent) == 4
    rig.connection.answer()
    rig.link.pump(20)
    assert rig.link.is_idle
    assert rig.counts() == (5, 5, 0)


def test_a_message_that_is_always_refused_does_not_stop_the_others() -> None:
    rig = Rig(window=4)
    rig.add(30)
    accepted: set[bytes] = set()
    for now in range(200):
        rig.link.pump(float(now * 10))
        for _, payload in list(rig.connection.sent):
            rig.connection.answer(0x87 if payload == b"7" else 0, count=1)
            if payload != b"7":
                accepted.add(payload)
    assert len(accepted) == 29
    assert rig.counts()[1] == 29
    assert rig.tally.refused[0x87] > 50  # and is tried for ever


def test_no_more_than_a_window_is_tried_while_all_is_refused() -> None:
    rig = Rig(window=4)
    rig.add(30)
    for _ in range(20):
        rig.link.pump(0)
        rig.connection.answer(0x10)
    assert rig.counts() == (4, 0, 30)


def test_a_lost_connection_is_sent_again_in_order() -> None:
    rig = Rig(window=6)
    payloads = rig.add(10)
    rig.link.pump(0)
    rig.connection.answer(count=1)
    rig.link.pump(0)
    rig.lose()
    rig.link.pump(0)
    assert rig.link.has_unacknowledged
    assert not rig.link.can_send(0)
    rig.reopen(1)
    rig.link.pump(1)
    assert rig.sent == payloads[1:7]
    rig.connection.answer()
    rig.link.pump(1)
    # The greeting is the first of what has not been sent before.
    assert rig.sent == [b"hello", *payloads[7:]]
    assert rig.tally.lost == {"gone": 1}


def test_a_broker_that_refuses_and_closes_lets_the_others_through() -> None:
    rig = Rig(window=6)
    rig.add(30)
    accepted: set[bytes] = set()
    now = 0.0
    for _ in range(100):
        now += 10
        if rig.link.may_open(now):
            rig.reopen(now)
        rig.link.pump(now)
        for _, payload in list(rig.connection.sent):
            if payload == b"7":
                rig.connection.answer(0x87, count=1)
                rig.lose()
                break
            accepted.add(payload)
            rig.connection.answer(count=1)
        rig.link.pump(now)
    assert accepted >= {b"%d" % n for n in range(30) if n != 7}
    assert rig.link.has_unacknowledged
    assert rig.tally.lost["gone"] > 10


def test_a_connection_that_does_not_last_is_opened_ever_more_slowly() -> None:
    rig = Rig()
    pauses = []
    now = 0.0
    for _ in range(12):
        rig.lose()
        rig.link.keep_alive(now)
        assert not rig.link.may_open(now)
        lost_at = now
        while not rig.link.may_open(now):
            now += 0.01
        pauses.append(now - lost_at)
        rig.reopen(now)
        assert not rig.link.may_open(now + 100)
    assert pauses[0] < 0.25
    assert 2 < max(pauses) < 5.1
    now += 60  # a connection that did last
    rig.lose()
    rig.link.keep_alive(now)
    assert rig.link.may_open(now + 0.25)


def test_receipts_of_another_connection_mean_nothing() -> None:
    rig = Rig()
    rig.add(1)
    rig.link.pump(0)
    rig.lose()
    rig.link.keep_alive(0)
    rig.connection.answer()
    rig.link.pump(0)
    assert rig.counts() == (1, 0, 1)


def test_what_was_never_sent_can_be_dropped() -> None:
    rig = Rig(window=2)
    rig.add(5)
    rig.link.pump(0)
    rig.link.forget_unsent()
    assert rig.counts() == (2, 0, 2)
    rig.connection.answer()
    rig.link.pump(0)
    assert rig.link.is_idle
