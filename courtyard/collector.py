"""Python's garbage collector in processes that run for long and hold much.

Every 700 new containers the collector looks for cycles, and now and then at all that there is: with 100,000 devices
some million objects of inventory and topics that stay, 3 µs for each reading. Readings make no cycles; what little is
made by errors and requests may wait longer.

Beside a server nobody is answered while it looks at everything: with 100 pages open that took 140 to 220 ms, every ten
seconds. So what has survived one full collection is set aside, and looked at again only twice an hour, together with
what has become garbage of it since.
"""

import gc
import time
from collections.abc import Mapping

_NEW_CONTAINERS = 50_000
_AGAIN_S = 1800.0
_FULL = 2


def settle() -> None:
    """Take what is there now as staying, and look at the rest less often; to be called once all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_CONTAINERS, *gc.get_threshold()[1:])


class LongLived:
    """Sets aside what survives full collections, between `begin` and `end`."""

    def __init__(self) -> None:
        """Do nothing yet."""
        self._looked = 0.0

    def begin(self) -> None:
        """Collect, and set aside what is there by now."""
        gc.collect()
        gc.freeze()
        self._looked = time.monotonic()
        gc.callbacks.append(self._told)

    def end(self) -> None:
        """Leave the collector as it was. Safe to call twice."""
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)
            gc.unfreeze()

    def _told(self, phase: str, info: Mapping[str, int]) -> None:
        """Called by the collector, before and after each collection."""
        if info["generation"] != _FULL:
            return
        if phase == "start":
            if time.monotonic() - self._looked > _AGAIN_S:
                self._looked = time.monotonic()
                gc.unfreeze()
        else:
            gc.freeze()
