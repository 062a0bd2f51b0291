"""Prefixes: what a line of InfluxDB's line protocol begins with, measurement and tags, for each series.

Where series stand in a book, each prefix is made once and taken by the series' number: with 100,000 devices, hardly one
of which comes twice in a write, making them anew took 2 µs a reading.
"""

import re
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import pyarrow as pa

from devices.columns import Batch, Codes, SeriesKey
from devices.errors import StoreRejectedError
from devices.keys import ChosenKeys, KeyBook
from devices.kind import Table
from store.checks import check_keys

_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_ESCAPED = re.compile(r"[,= \\]")


class Prefixes:
    """Makes prefixes, and keeps those of books. For any number of threads."""

    def __init__(self) -> None:
        """Begin without any."""
        self._kept: WeakKeyDictionary[KeyBook, dict[str, pa.Array]] = WeakKeyDictionary()

    def of(self, batch: Batch) -> tuple[pa.Array, Codes]:
        """The prefixes of some series, and int32[len(batch)], which of them each row has.

        Raises:
            StoreRejectedError: an id is empty, or none that the protocol can express.
        """
        keys = batch.keys
        if isinstance(keys, ChosenKeys) and len(keys):
            texts = self._of_book(batch.table, keys)
            if texts is not None:
                return texts, keys.numbers[batch.series]
        return _made(batch.table, keys), batch.series

    def _of_book(self, table: Table, keys: ChosenKeys) -> pa.Array | None:
        """All prefixes of a book, or None where one cannot be made: it may be another's than one of `keys`."""
        kept = self._kept.setdefault(keys.book, {})
        texts = kept.get(table.measurement)
        if texts is None or len(texts) <= keys.numbers[-1]:
            known = 0 if texts is None else len(texts)
            try:
                new = _made(table, keys.book.since(known))
            except StoreRejectedError:
                return None
            texts = new if texts is None else pa.concat_arrays([texts, new])
            # Another thread may have made the same meanwhile.
            kept[table.measurement] = texts
        return texts


def _made(table: Table, keys: Sequence[SeriesKey]) -> pa.Array:
    """The prefixes of sound series; a list of f-strings is five times as fast here as Arrow's kernels."""
    check_keys(table, keys)
    if _ESCAPED.search("".join(map("".join, keys))):
        keys = [_escaped(table, key) for key in keys]
    start = f"{table.measurement},compound="
    return pa.array(
        [
            f"{start}{compound},device={device},part={part} " if part else f"{start}{compound},device={device} "
            for compound, device, part in keys
        ],
        pa.string(),
    )


def _escaped(table: Table, key: SeriesKey) -> SeriesKey:
    if any(text.endswith("\\") for text in key):
        raise StoreRejectedError(f"{table.measurement}: an id ends in a backslash")
    return SeriesKey(*(text.translate(_TAG) for text in key))
