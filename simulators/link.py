"""A link: one MQTT connection, what it has still to send, and what has no PUBACK yet.

A message leaves a link only when its PUBACK says 0x00. One with another code, or without any when the connection is
lost, is sent again: the former after a pause, the latter on the next connection. mosquitto 2.0 does both at once: it
answers 0x87 (not authorised) and closes, which is why what is refused stays apart from what is lost.
"""

from collections import deque
from collections.abc import Iterable

from devices.errors import BrokerError
from mqtt.connection import SUCCESS, Connection
from mqtt.options import Backoff
from simulators.encode import Message
from simulators.tally import Tally

_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_STEADY_S = 10.0


class Link:
    """One connection and its messages.

    Attributes:
        connection: the connection.
        devices: numbers of the devices that it speaks for.
        greeted: whether it has ever been open.
    """

    def __init__(self, connection: Connection, devices: tuple[int, ...], window: int, tally: Tally) -> None:
        """Make a link without messages.

        Args:
            connection: its connection, not open yet.
            devices: numbers of the devices that it speaks for.
            window: at most so many messages wait for their PUBACKs; fewer where the broker takes fewer.
            tally: where to count.
        """
        self.connection = connection
        self.devices = devices
        self.greeted = False
        self._window = window
        self._tally = tally
        self._fresh: deque[Message] = deque()
        self._again: deque[Message] = deque()  # sent before, and not acknowledged
        self._flying: dict[int, Message] = {}
        self._held: deque[Message] = deque()  # refused, and waiting out a pause
        self._probe: Message | None = None
        self._retry_at = 0.0
        self._backoff = Backoff(_PAUSE_S, _LONGEST_PAUSE_S)
        self._stands = False
        self._opened_at = 0.0
        self._reopen_at = 0.0
        self._reopening = Backoff(_PAUSE_S / 5, _LONGEST_PAUSE_S)

    @property
    def is_idle(self) -> bool:
        """Whether everything sent is acknowledged, and nothing waits to be sent."""
        return not (self._fresh or self._again or self._flying or self._held)

    @property
    def has_unacknowledged(self) -> bool:
        """Whether something sent is not acknowledged."""
        return bool(self._again or self._flying or self._held)

    def can_send(self, now: float) -> bool:
        """Whether `pump` would send something at `now` (monotonic seconds)."""
        if not self.connection.is_open or len(self._flying) >= self._limit:
            return False
        probes = self._held and self._probe is None and now >= self._retry_at
        return bool(self._again or probes or (self._fresh and len(self._held) < self._window))

    def may_open(self, now: float) -> bool:
        """Whether the connection is closed, and may be opened at `now`: not at once where it does not last."""
        return not self.connection.is_open and now >= self._reopen_at

    def add(self, message: Message) -> None:
        """Send `message` when its turn comes."""
        self._tally.waiting += 1
        self._fresh.append(message)

    def opened(self, greeting: Iterable[Message], now: float) -> None:
        """Take note that the connection has been opened: `greeting` goes before all that has not been sent yet."""
        self.greeted = self._stands = True
        self._opened_at = now
        messages = list(greeting)
        self._tally.waiting += len(messages)
        self._fresh.extendleft(reversed(messages))

    def forget_unsent(self) -> None:
        """Drop what has never been sent."""
        self._tally.waiting -= len(self._fresh)
        self._fresh.clear()

    def pump(self, now: float) -> None:
        """Take receipts and send what may be sent; never blocks, never raises.

        Args:
            now: monotonic seconds.
        """
        connection = self.connection
        connection.step()
        for mid, code in connection.take_receipts():
            message = self._flying.pop(mid, None)
            if message is not None:
                self._settle(message, code, now)
        if connection.is_open:
            self._send(now)
            connection.flush()
        if not connection.is_open:
            self._recall(now)

    def keep_alive(self, now: float) -> None:
        """Let the connection send its ping where one is due, and notice where it is gone."""
        self.connection.flush()
        if not self.connection.is_open:
            self._recall(now)

    @property
    def _limit(self) -> int:
        return min(self._window, self.connection.window)

    def _settle(self, message: Message, code: int, now: float) -> None:
        probed = message is self._probe
        if probed:
            self._probe = None
        if code == SUCCESS:
            self._tally.acknowledge(message)
            if probed:
                self._again.extend(self._held)
                self._held.clear()
                self._backoff.reset()
            return
        self._tally.refused[code] += 1
        if probed or not self._held:
            self._retry_at = now + self._backoff.pause_s()
        self._held.append(message)  # behind the others: the next probe is another one

    def _send(self, now: float) -> None:
        if self._held and self._probe is None and now >= self._retry_at:
            self._probe = self._held.popleft()
            self._again.append(self._probe)
        while len(self._flying) < self._limit:
            if self._again:
                message = self._again.popleft()
            # Where a window's worth has been refused, more would be refused too.
            elif self._fresh and len(self._held) < self._window:
                message = self._fresh.popleft()
                self._tally.publish(message)
            else:
                break
            try:
                mid = self.connection.publish(message.topic, message.payload, retain=message.retain)
            except BrokerError:  # the connection is gone; it is noticed below, and opened again by the fleet
                self._again.appendleft(message)
                break
            self._flying[mid] = message

    def _recall(self, now: float) -> None:
        """Keep everything without a PUBACK for the next connection, in the order of time."""
        if not self._stands:
            return
        self._stands = False
        self._tally.lost[self.connection.lost_because or "unknown"] += 1
        if now - self._opened_at > _STEADY_S:
            self._reopening.reset()
        self._reopen_at = now + self._reopening.pause_s()
        self._again = deque(sorted([*self._flying.values(), *self._again], key=_due))
        self._flying.clear()
        self._probe = None


def _due(message: Message) -> int:
    return message.due_ms
