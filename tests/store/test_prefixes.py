"""Prefixes kept by the numbers of series are those that are made anew, however the book grows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.columns import Batch, SeriesKey
from devices.errors import StoreRejectedError
from devices.keys import ChosenKeys, KeyBook
from devices.registry import discover
from store.lines import encode
from store.prefixes import Prefixes
from tests.store.samples import sample

TABLE = discover()["charger"].tables["telemetry"]
IDS = st.text("ab=, ", min_size=1, max_size=4)
SERIES = st.lists(st.builds(SeriesKey, IDS, IDS, IDS), unique=True, min_size=1, max_size=12)


def batch_of(keys: tuple[SeriesKey, ...] | ChosenKeys) -> Batch:
    """Two rows of each series."""
    whole = sample(TABLE, 2 * len(keys))
    series = np.repeat(np.arange(len(keys), dtype=np.int32), 2)
    return Batch(TABLE, keys, series, whole.time, whole.columns)


@settings(deadline=None)
@given(SERIES, st.data())
def test_kept_prefixes_are_those_made_anew(series: list[SeriesKey], data: st.DataObject) -> None:
    book, kept = KeyBook(), Prefixes()
    added = 0
    while added < len(series):
        more = data.draw(st.integers(1, len(series) - added))
        book.add(series[added : added + more])
        added += more
        chosen = sorted(data.draw(st.sets(st.integers(0, added - 1), min_size=1)))
        keys = ChosenKeys(book, np.array(chosen, np.int32))
        assert b"".join(encode(batch_of(keys), kept)) == b"".join(encode(batch_of(tuple(keys))))


@pytest.mark.parametrize("wrong", [SeriesKey("a", "b\\"), SeriesKey("", "b"), SeriesKey("a", "b\n")])
def test_a_series_that_cannot_be_written_harms_no_other(wrong: SeriesKey) -> None:
    book, kept = KeyBook(), Prefixes()
    book.add([SeriesKey("a", "b"), wrong, SeriesKey("a", "c")])
    sound = ChosenKeys(book, np.array([0, 2], np.int32))
    assert b"".join(encode(batch_of(sound), kept)) == b"".join(encode(batch_of(tuple(sound))))
    with pytest.raises(StoreRejectedError):
        list(encode(batch_of(ChosenKeys(book, np.array([0, 1], np.int32))), kept))
