"""The live stream in its place: a thread that follows the broker, beside the API."""

import os

from courtyard.settings import Settings
from courtyard.threads import Threads
from courtyard.wiring import broker_options
from devices.inventory import Inventory
from devices.registry import Registry
from live.feed import Feed, Reader
from live.hub import Hub


class LivePart:
    """The feed and its hub; without either where the settings say so.

    Attributes:
        hub: what the API reads; None where no broker is followed.
    """

    def __init__(self, settings: Settings, inventory: Inventory, known: Registry) -> None:
        """Prepare.

        Args:
            settings: as loaded.
            inventory: which devices there are.
            known: the kinds.

        Raises:
            BrokerError: the CA file cannot be read.
        """
        self.hub = Hub() if settings.live else None
        self._threads = Threads()
        self._feed = None
        if self.hub is not None:
            # Two of one name would throw each other off the broker.
            name = f"courtyard-live-{os.urandom(4).hex()}"
            self._feed = Feed(broker_options(settings), Reader(inventory, known), self.hub, client_id=name)

    @property
    def failure(self) -> str | None:
        """Why its thread died; None while it has not."""
        return self._threads.failure

    def start(self) -> None:
        """Follow."""
        if self._feed is not None:
            self._threads.begin("live", self._feed.run)

    def stop(self) -> None:
        """End all streams, then the thread. Safe to call twice."""
        if self.hub is not None:
            self.hub.end()
        self._threads.stop()
