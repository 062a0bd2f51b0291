"""From when to when the rollups of a kind are whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from aggregate.edges import NS_PER_S
from devices.columns import Batch, Coded, Column, SeriesKey
from devices.inventory import Inventory
from devices.kind import Kind
from rollups.tables import (
    ALL,
    BEGIN,
    CLOSED,
    FIGURES_OF,
    PARTIALS_OF,
    figures_signature,
    partials_signature,
    state_table,
)
from store.protocol import Query, Store

KEPT_NS = 7_258_118_400 * NS_PER_S
"""Where rows lie that are not about a time: in the year 2200, for what lies in the past a store may let go of."""

_KEY = SeriesKey(ALL, ALL)
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class State:
    """Which rollups there are of a kind.

    Attributes:
        begin_ns: where the first bucket begins, a quarter of an hour.
        closed_ns: where the last one ends.
        partials_of: signature of the declaration that the partials were made of.
        figures_of: signature of the declaration and inventory that the figures were made of.
    """

    begin_ns: int
    closed_ns: int
    partials_of: str
    figures_of: str

    @classmethod
    def now(cls, kind: Kind, inventory: Inventory, begin_ns: int, closed_ns: int) -> Self:
        """Rollups of today's declaration."""
        return cls(begin_ns, closed_ns, partials_signature(kind), figures_signature(kind, inventory))

    def has_partials(self, kind: Kind) -> bool:
        """Whether the partials are what today's declaration would make."""
        return self.closed_ns > self.begin_ns and self.partials_of == partials_signature(kind)

    def has_figures(self, kind: Kind, inventory: Inventory) -> bool:
        """Whether the figures are what today's declaration and inventory would make."""
        return self.has_partials(kind) and self.figures_of == figures_signature(kind, inventory)


def read_state(store: Store, kind: Kind) -> State | None:
    """The state as it is kept, or None where there is none; raises `StoreError`."""
    return read_states(store, {kind.name: kind}).get(kind.name)


def read_states(store: Store, kinds: Mapping[str, Kind]) -> dict[str, State]:
    """The states of several kinds, by name; raises `StoreError`."""
    found = {}
    for kind in kinds.values():
        batch = store.read(Query(table=state_table(kind), start_ns=KEPT_NS, stop_ns=KEPT_NS + 1, few=True))
        if not len(batch):
            continue
        texts = [batch.coded(name).decoded()[0] or "" for name in (BEGIN, CLOSED, PARTIALS_OF, FIGURES_OF)]
        if not all(text.isascii() and text.isdigit() and len(text) < _DIGITS for text in texts[:2]):
            continue  # somebody else wrote it
        begin, closed = (int(text) * NS_PER_S for text in texts[:2])
        found[kind.name] = State(begin, closed, *texts[2:])
    return found


def write_state(store: Store, kind: Kind, state: State) -> None:
    """Keep a state in place of the one before; raises `StoreError`."""
    code = np.zeros(1, np.int32)
    texts = (str(state.begin_ns // NS_PER_S), str(state.closed_ns // NS_PER_S), state.partials_of, state.figures_of)
    columns: dict[str, Column] = {
        name: Coded(code, (text,)) for name, text in zip((BEGIN, CLOSED, PARTIALS_OF, FIGURES_OF), texts, strict=True)
    }
    store.write([Batch(state_table(kind), (_KEY,), code, np.full(1, KEPT_NS, np.int64), columns)])
