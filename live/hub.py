"""Where streams meet the feed: the latest frames, and how far each stream has come in them.

A stream keeps nothing but its place. One that is so slow that its place is gone is ended, and told on its return what
it missed; none is waited for.
"""

import asyncio
import itertools
import re
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping

from devices.errors import CourtyardError
from live.frames import Frame, Group, Wanted, event, marked

_LINGER_S = 60.0
_MARK = re.compile(r"([0-9a-f]{1,16})-(\d{1,15})", re.ASCII)
_RETRY = b"retry: 2000\n\n"


class StreamsFullError(CourtyardError):
    """As many streams are open as may be."""

    code = "streams_full"


class Hub:
    """Takes frames from one thread, and gives them to any number of streams of one event loop.

    Attributes:
        dropped: how many streams were ended because they were too slow.
    """

    def __init__(
        self,
        *,
        most_streams: int = 1000,
        most_bytes: int = 32 * 1024 * 1024,
        most_frames: int = 600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep so much of what was.

        Args:
            most_streams: how many may be open at once.
            most_bytes: how much of what was is kept, in bytes.
            most_frames: and in frames: a minute of ten a second.
            clock: seconds.
        """
        self.dropped = 0
        self._most_streams, self._most_bytes, self._most_frames = most_streams, most_bytes, most_frames
        self._clock = clock
        # Two hubs must not take each other's marks for theirs.
        self._epoch = f"{time.time_ns() // 1_000_000:x}"
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._number = 0
        self._connected = False
        self._streams = 0
        self._left = -_LINGER_S
        self._asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._ended = False

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self._streams

    @property
    def is_wanted(self) -> bool:
        """Whether anybody listens, or did a minute ago: who comes back shall find what came meanwhile."""
        return self._streams > 0 or self._clock() - self._left < _LINGER_S

    def await_wanted(self, timeout_s: float) -> bool:
        """Wait, in the feed's thread, until somebody listens."""
        if self.is_wanted:
            return True
        self._asked.clear()
        return self._asked.wait(timeout_s) or self.is_wanted

    def publish(self, events: Mapping[Group, bytes], *, left_out: int = 0) -> None:
        """Give out a frame. From the feed's thread.

        Args:
            events: by whose they are, as they are sent.
            left_out: how many messages there was no time for.
        """
        self._add(event("gap", {"reason": "overload", "messages": left_out}) if left_out else b"", events)

    def tell(self, *, connected: bool) -> None:
        """Say whether the broker is there. From the feed's thread."""
        if connected != self._connected:
            self._connected = connected
            self._add(event("feed", {"connected": connected}), {})

    def stream(self, wanted: Wanted, last: str | None) -> AsyncGenerator[bytes]:
        """Open a stream.

        Args:
            wanted: what it is to carry.
            last: the mark that the client got last, to go on from there; None to begin now.

        Returns:
            What is to be sent, piece by piece; it ends where the client is too slow, and with the hub.

        Raises:
            StreamsFullError: too many are open.
        """
        if self._streams >= self._most_streams:
            raise StreamsFullError(f"{self._most_streams} streams are open, as many as may be; try again later")
        return self._stream(wanted, last)

    def end(self) -> None:
        """End all streams."""
        self._ended = True
        self._notify()

    async def _stream(self, wanted: Wanted, last: str | None) -> AsyncGenerator[bytes]:
        self._loop = asyncio.get_running_loop()
        self._streams += 1
        self._asked.set()
        try:
            place, why = self._place(last)
            hello = [_RETRY, event("feed", {"connected": self._connected})]
            if why is not None:
                hello.append(event("gap", {"reason": why}))
            yield marked(hello, self._mark(place))
            while not self._ended:
                wake = self._wake
                frames = self._since(place)
                if frames is None:
                    self.dropped += 1
                    return
                if frames:
                    place = frames[-1].number
                    texts = [text for each in frames if (text := each.chosen(wanted))]
                    if texts:
                        yield marked(texts, self._mark(place))
                        continue
                await wake.wait()
        finally:
            self._streams -= 1
            self._left = self._clock()

    def _place(self, last: str | None) -> tuple[int, str | None]:
        """Where a stream begins: behind which frame; and why something is missing in front of it, if so."""
        with self._lock:
            now = self._number
            oldest = self._frames[0].number if self._frames else now + 1
        if not last:
            return now, None
        found = _MARK.fullmatch(last)
        if found is None:
            return now, "unknown_id"
        if found[1] != self._epoch or int(found[2]) > now:
            return now, "restarted"
        place = int(found[2])
        return (place, None) if place + 1 >= oldest else (now, "too_old")

    def _since(self, place: int) -> list[Frame] | None:
        """The frames behind a place; None where some of them are gone."""
        with self._lock:
            if self._number == place:
                return []
            if not self._frames or self._frames[0].number > place + 1:
                return None
            return list(itertools.islice(self._frames, place + 1 - self._frames[0].number, None))

    def _mark(self, place: int) -> str:
        return f"{self._epoch}-{place}"

    def _add(self, notice: bytes, events: Mapping[Group, bytes]) -> None:
        with self._lock:
            self._number += 1
            frame = Frame(self._number, notice, events)
            self._frames.append(frame)
            self._bytes += frame.size
            while len(self._frames) > self._most_frames or (self._bytes > self._most_bytes and len(self._frames) > 1):
                self._bytes -= self._frames.popleft().size
        self._notify()

    def _notify(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        # All who wait hold this one; who comes later looks for frames before it waits for the next.
        self._wake.set()
        self._wake = asyncio.Event()
