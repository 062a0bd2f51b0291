"""Batches of one table with every type of field, as hypothesis draws them."""

import numpy as np
from hypothesis import strategies as st

from devices.columns import ABSENT, Batch, Coded, Column, SeriesKey
from devices.fields import Field, Signal, category, flag, gauge, identity, state, value
from devices.kind import Channel, Part, Table
from devices.names import Text
from tests.store.samples import START_NS

_T = Text("x", "x")

EVERYTHING = Table(
    kind="everything",
    name="telemetry",
    channel=Channel.TELEMETRY,
    part=Part(name="side", title=_T),
    fields=(
        value("extra", _T, "1", 0, 1, required=False),
        identity("note", _T, required=False),
        state("lid", _T, ("open", 'half "open"', "back\\slash", "comma, space = 中"), required=False),
        flag("smoke", _T, required=False),
        gauge("level", _T, "1", 0, 1),
        category("kind_of", _T, ("a", "b")),
        identity("id", _T),
        flag("tilt", _T),
    ),
)
"""A table whose first field is not required, with two of each type."""

NOTHING = Table(kind="everything", name="nothing", channel=Channel.EVENT, fields=())
OPTIONAL = Table(
    kind="everything",
    name="optional",
    channel=Channel.EVENT,
    fields=(gauge("n", _T, "1", 0, 1, required=False), flag("n_", _T, required=False)),
)
"""Tables whose rows may have no field at all; one with the fields that a marker could be mistaken for."""

TABLES = (EVERYTHING, NOTHING, OPTIONAL)

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(
    st.characters(exclude_categories=["Cs"], min_codepoint=32, exclude_characters="\x7f"), min_size=1, max_size=12
)


@st.composite
def batches(draw: st.DrawFn, table: Table | None = None, compound: str = "c") -> Batch:
    """Up to 12 rows, identities perhaps twice."""
    table = draw(st.sampled_from(TABLES)) if table is None else table
    rows = draw(st.integers(1, 12))
    keys = tuple(SeriesKey(compound, f"d{number}", part) for number in range(2) for part in ("", "1", "a b,c=d"))
    series = draw(st.lists(st.integers(0, len(keys) - 1), min_size=rows, max_size=rows))
    time = draw(st.lists(st.integers(START_NS, START_NS + 20), min_size=rows, max_size=rows))
    columns = {field.name: _column(draw, field, rows) for field in table.fields}
    return Batch(table, keys, np.array(series, np.int32), np.array(time, np.int64), columns)


def _column(draw: st.DrawFn, field: Field, rows: int) -> Column:
    if field.is_number:
        numbers_or_none = numbers if field.required else numbers | st.just(float("nan"))
        return np.array(draw(st.lists(numbers_or_none, min_size=rows, max_size=rows)))
    labels = field.labels
    if field.signal is Signal.IDENTITY:
        labels = tuple(draw(st.lists(texts, min_size=1, max_size=rows, unique=True)))
    lowest = 0 if field.required else ABSENT
    codes = draw(st.lists(st.integers(lowest, len(labels) - 1), min_size=rows, max_size=rows))
    return Coded(np.array(codes, np.int32), labels)
