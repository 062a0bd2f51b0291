"""When messages go: history as fast as links take it, then, or from the beginning, as a clock runs."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from simulators.encode import Encoder, Message
from simulators.faults.devices import DeviceFaults
from simulators.faults.transport import Transport
from simulators.source import Source

_HISTORY_SPAN_MS = 3 * 3_600_000
_CAUGHT_UP_MS = 1000
_AHEAD_S = 3.0
_SPAN_S = 60.0
_LINGER_S = 10.0
"""A message that fills up an array waits no longer than so many real seconds, once the clock runs."""
LOW_WATER = 20_000
HIGH_WATER = 200_000
"""Messages that may wait for acknowledgement before generation pauses: while history is sent, while the clock runs."""


def real_ms() -> int:
    """The real time, in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Feed:
    """The messages of a run, each released when it may go.

    Attributes:
        start_ms: where simulated time begins.
        stop_ms: where it ends, or None.
        speed: how many times faster than real time the clock runs; None while history is sent as fast as can be.
        done: whether all has been released, and the clock has reached the end.
    """

    def __init__(  # noqa: PLR0913  (a feed's settings are one row)
        self,
        source: Source,
        encoder: Encoder,
        *,
        start_ms: int,
        stop_ms: int | None,
        speed: float | None,
        clock_ms: Callable[[], int] = real_ms,
        devices: DeviceFaults | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare to release; the clock starts now.

        Args:
            source: where readings come from.
            encoder: makes messages of them.
            start_ms: where simulated time begins, ms since the epoch.
            stop_ms: where it ends, or None to go on for ever.
            speed: how many times faster than real time the clock runs; None for history as fast as can be, up to the
                real time, and from there on at real time.
            clock_ms: the real time in ms since the epoch.
            devices: what goes wrong with devices; None: nothing.
            transport: what goes wrong on the way; None: nothing.
        """
        self.start_ms = start_ms
        self.stop_ms = stop_ms
        self.speed = speed
        self.done = False
        self._source = source
        self._encoder = encoder
        self._clock_ms = clock_ms
        self._devices = devices
        self._transport = transport
        self._upto_ms = start_ms
        self._anchor_ms = clock_ms()
        self._pending: deque[Message] = deque()
        self._set_linger()

    @property
    def now_ms(self) -> int:
        """The simulated time."""
        if self.speed is None:
            return self._upto_ms
        now = self.start_ms + round((self._clock_ms() - self._anchor_ms) * self.speed)
        return now if self.stop_ms is None else min(now, self.stop_ms)

    @property
    def ahead_s(self) -> float:
        """How far the simulated time is ahead of the real one, in seconds; negative where it is behind."""
        return (self.now_ms - self._clock_ms()) / 1000

    def take(self, waiting: int) -> Iterable[Message]:
        """The messages that may go now, in the order of time.

        Args:
            waiting: how many messages are not acknowledged yet; above a limit nothing more is released.
        """
        if self.done:
            return ()
        if self.speed is None:
            return self._history() if waiting < LOW_WATER else ()
        return self._paced() if waiting < HIGH_WATER else ()

    def _history(self) -> Iterable[Message]:
        limit = self._clock_ms() if self.stop_ms is None else self.stop_ms
        # The present moves on while history is made; the last moments are left to the clock.
        if self._upto_ms < limit - (_CAUGHT_UP_MS if self.stop_ms is None else 0):
            return self._made(min(self._upto_ms + _HISTORY_SPAN_MS, limit))
        if self.stop_ms is None:
            # History has reached the present; from here on the clocks run together.
            self.speed = 1.0
            self._anchor_ms = self.start_ms
            self._set_linger()
            return ()
        self.done = True
        return ()

    def _paced(self) -> Iterator[Message]:
        assert self.speed is not None  # noqa: S101  (for the type checker)
        now = self.now_ms
        while self._upto_ms <= now + _AHEAD_S * 1000 * self.speed and self._upto_ms != self.stop_ms:
            span = min(round(_SPAN_S * 1000 * self.speed), _HISTORY_SPAN_MS)
            until = self._upto_ms + max(span, 1)
            self._pending.extend(self._made(until if self.stop_ms is None else min(until, self.stop_ms)))
            if len(self._pending) > HIGH_WATER:
                break
        while self._pending and self._pending[0].due_ms <= now:
            yield self._pending.popleft()
        self.done = not self._pending and self._upto_ms == self.stop_ms and now >= self.stop_ms

    def _made(self, until_ms: int) -> list[Message]:
        batches = self._source.span(self._upto_ms, until_ms)
        if self._devices is not None:
            batches = self._devices.applied(batches, self._upto_ms, until_ms)
        self._upto_ms = until_ms
        messages = self._encoder.encode(batches)
        if self._transport is None:
            return messages
        if until_ms != self.stop_ms:
            return self._transport.disturbed(messages, until_ms)
        # What would come after the end comes with it.
        return [each._replace(due_ms=min(each.due_ms, until_ms)) for each in self._transport.disturbed(messages, None)]

    def _set_linger(self) -> None:
        self._encoder.linger_ms = 0 if self.speed is None else max(1, round(_LINGER_S * 1000 * self.speed))
