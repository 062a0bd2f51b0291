"""What survives a full collection is set aside, and garbage made of it is found in the end."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from courtyard import collector
from courtyard.collector import LongLived


class Node:
    """Refers to itself: only the collector finds it."""

    def __init__(self) -> None:
        """Make the cycle."""
        self.me = self


@pytest.fixture
def objects() -> Iterator[LongLived]:
    made = LongLived()
    made.begin()
    yield made
    made.end()


def test_what_survives_is_not_looked_at_again(objects: LongLived) -> None:
    kept = [Node() for _ in range(1000)]
    gc.collect()
    looked_at = set(map(id, gc.get_objects()))  # of all generations, but not of what was set aside
    assert not looked_at & set(map(id, kept))
    objects.end()
    assert set(map(id, kept)) <= set(map(id, gc.get_objects()))


def test_garbage_of_what_was_set_aside_is_found_when_its_time_has_come(
    objects: LongLived, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node()
    gone = weakref.ref(node)
    gc.collect()  # sets it aside
    del node
    gc.collect()
    assert gone() is not None
    monkeypatch.setattr(collector, "_AGAIN_S", -1.0)
    gc.collect()
    assert gone() is None
    assert objects


def test_afterwards_all_is_as_before(objects: LongLived) -> None:
    number = len(gc.callbacks)
    objects.end()
    objects.end()
    assert len(gc.callbacks) == number - 1
    assert gc.get_freeze_count() == 0
