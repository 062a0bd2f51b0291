"""Where the broker is, and how long to wait between attempts to reach it."""

from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

_RANDOM = SystemRandom()


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerOptions:
    """How to reach the broker.

    Attributes:
        host: its name or address.
        port: its TCP port.
        username: user name, or None to send no credentials.
        password: password; never shown by `repr`.
        ca_file: certificates to trust; given, the connection is TLS 1.2 or later.
        keepalive_s: MQTT keep-alive in seconds.
        timeout_s: how long to wait for the connection and for its acknowledgement, in seconds.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    keepalive_s: int = 30
    timeout_s: float = 10.0


class Backoff:
    """Growing pauses between attempts, with jitter so that many clients do not return at once."""

    def __init__(self, first_s: float = 0.2, most_s: float = 10.0) -> None:
        """Begin at `first_s` seconds, doubling up to `most_s`."""
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def pause_s(self) -> float:
        """The next pause: between half of the current step and all of it."""
        step = self._next_s
        self._next_s = min(step * 2, self._most_s)
        return step * (0.5 + _RANDOM.random() / 2)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next_s = self._first_s
