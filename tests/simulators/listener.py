"""A subscriber that keeps what arrives, and can be away for a while."""

import json
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from devices.errors import BrokerError
from mqtt.connection import Connection, wait
from mqtt.options import BrokerOptions
from tests.services import Mosquitto


class Reading(NamedTuple):
    """One object received."""

    topic: str
    retained: bool
    body: dict[str, Any]

    @property
    def measurement(self) -> str:
        _, _, kind, _, channel = self.topic.split("/")
        return f"{kind}_{self.body.get('event', channel)}"

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it this reading: its topic, and all it says."""
        return self.topic, json.dumps(self.body, sort_keys=True)


class Listener:
    """Subscribes to everything with a session that outlives its connections."""

    def __init__(self, broker: Mosquitto, client_id: str = "listener") -> None:
        """Connect and subscribe; a client id that is new gets what the broker retains."""
        options = BrokerOptions(host=broker.host, port=broker.port)
        self._connection = Connection(options, client_id=client_id, clean_start=False, session_expiry_s=3600)
        self._reconnect()
        self._connection.subscribe("compounds/#")
        self.readings: list[Reading] = []
        self.payloads: list[bytes] = []

    def until(self, enough: Callable[[], bool], timeout_s: float = 20) -> None:
        """Take what arrives until `enough`."""
        deadline = time.monotonic() + timeout_s
        while not enough():
            assert time.monotonic() < deadline, f"{len(self.readings)} readings only"
            self.take(0.02)

    def take(self, timeout_s: float) -> None:
        """Take what arrives, waiting once."""
        if not self._connection.is_open:
            self._reconnect()
        wait([self._connection], timeout_s)
        self._connection.step()
        messages = self._connection.take_messages()
        self._connection.acknowledge_all([message.mid for message in messages])
        self._connection.flush()
        for message in messages:
            body = json.loads(message.payload)
            self.payloads.append(message.payload)
            objects = body if isinstance(body, list) else [body]
            self.readings += [Reading(message.topic, message.retained, each) for each in objects]

    def settle(self, quiet_s: float = 0.5) -> None:
        """Take what arrives until nothing has for a while."""
        count, since = len(self.readings), time.monotonic()
        while time.monotonic() - since < quiet_s:
            self.take(0.05)
            if len(self.readings) != count:
                count, since = len(self.readings), time.monotonic()

    def counts(self) -> dict[str, int]:
        """How many different readings of each measurement have arrived."""
        different = {reading.identity: reading.measurement for reading in self.readings}
        return dict(Counter(different.values()))

    def __enter__(self) -> Self:
        """Be connected already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._connection.close()

    def _reconnect(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self._connection.open()
            except BrokerError:
                assert time.monotonic() < deadline, "the broker does not come back"
                time.sleep(0.1)
            else:
                return
