"""Flux queries, built so that no id, name or setting can become code."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from devices.kind import Table
from devices.names import is_id
from store.checks import clipped

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "$": r"\$"})


def text(value: str) -> str:
    """A Flux string literal; `${…}` is not interpolated."""
    return f'"{value.translate(_ESCAPES)}"'


def instant(time_ns: int) -> str:
    """A Flux time literal, exact to the nanosecond; times outside what InfluxDB holds become its first or last."""
    seconds, rest = divmod(clipped(time_ns), 1_000_000_000)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Values of some fields of a table within a span.

    Attributes:
        bucket: the bucket's name.
        table: the table.
        fields: names of the fields as InfluxDB has them.
        start_ns: first nanosecond.
        stop_ns: the nanosecond after the last.
        compounds: ids, or None for all.
        devices: ids, or None for all.
    """

    bucket: str
    table: Table
    fields: tuple[str, ...]
    start_ns: int
    stop_ns: int
    compounds: Collection[str] | None = None
    devices: Collection[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing can match; InfluxDB refuses to be asked for an empty span."""
        nobody = any(ids is not None and not any(map(is_id, ids)) for ids in (self.compounds, self.devices))
        return nobody or not self.fields or clipped(self.start_ns) >= clipped(self.stop_ns)

    def of(self, fields: Iterable[str]) -> Self:
        """The same with other fields."""
        return replace(self, fields=tuple(fields))

    def flux(self, *steps: str) -> str:
        """The query, each value with its field, series and time in a table per field and series.

        Args:
            steps: what is done to each of these tables: "last()".

        Returns:
            A query that is not empty (see `is_empty`).
        """
        fields = " or ".join(f"r._field == {text(name)}" for name in self.fields)
        lines = [
            f"from(bucket: {text(self.bucket)})",
            f"range(start: {instant(self.start_ns)}, stop: {instant(self.stop_ns)})",
            f"filter(fn: (r) => r._measurement == {text(self.table.measurement)})",
            f"filter(fn: (r) => {fields})",
        ]
        lines += [
            f"filter(fn: (r) => r.{tag} =~ {_any_of(ids)})"
            for tag, ids in (("compound", self.compounds), ("device", self.devices))
            if ids is not None
        ]
        # Columns that say nothing cost half of the time of an answer.
        lines += [*steps, 'drop(columns: ["_start", "_stop", "_measurement"])']
        return "\n  |> ".join(lines)


def _any_of(ids: Iterable[str]) -> str:
    """A regular expression of these ids: a chain of `or` nests too deep for Flux from some 100 on.

    What is no id cannot be stored, so it is left out, and nothing is left that would need an escape.
    """
    return f"/^(?:{'|'.join(sorted(set(filter(is_id, ids))))})$/"


def probe(bucket: str) -> str:
    """A query that finds nothing, but only where the bucket is there and may be read."""
    return f"from(bucket: {text(bucket)})\n  |> range(start: {instant(0)}, stop: {instant(1)})\n  |> limit(n: 1)"
