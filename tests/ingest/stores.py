"""Stores that fail on purpose around one that does not."""

import threading
from collections.abc import Callable, Collection, Sequence

from devices.columns import Batch
from devices.errors import StoreError
from devices.kind import Table
from store.protocol import Query, Store


class FailingStore:
    """Passes everything on to another store, but for what `refuse` objects to.

    Attributes:
        refuse: is asked before each write; the error it returns is raised instead.
        writes: the number of rows of each write that was passed on.
        attempts: how many writes were asked for.
        gate: writes wait until it is set.
    """

    def __init__(self, inner: Store) -> None:
        """Pass everything on to `inner`."""
        self.refuse: Callable[[Sequence[Batch]], Exception | None] = lambda _: None
        self.writes: list[int] = []
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()
        self._inner = inner

    def write(self, batches: Sequence[Batch]) -> None:
        self.attempts += 1
        self.gate.wait()
        error = self.refuse(batches)
        if error is not None:
            raise error
        self._inner.write(batches)
        self.writes.append(sum(map(len, batches)))

    def read(self, query: Query) -> Batch:
        return self._inner.read(query)

    def latest(
        self,
        table: Table,
        *,
        since_ns: int,
        compounds: Collection[str] | None = None,
        devices: Collection[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Batch:
        return self._inner.latest(table, since_ns=since_ns, compounds=compounds, devices=devices, fields=fields)

    def count(self, table: Table, *, start_ns: int, stop_ns: int) -> int:
        return self._inner.count(table, start_ns=start_ns, stop_ns=stop_ns)

    def ping(self) -> None:
        self._inner.ping()

    def close(self) -> None:
        self._inner.close()


def always(error: StoreError) -> Callable[[Sequence[Batch]], Exception | None]:
    """Refuse every write."""
    return lambda _: error
