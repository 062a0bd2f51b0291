"""Strips: which state something was in, over time. What no sample holds is left open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.answers import ReadingsAnswer
from devices.fields import Field
from devices.kind import Kind
from pages.charts import PALETTE
from pages.tongue import Tongue

_OPEN = "transparent"
_NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True)
class Piece:
    """A time in one state: how wide, in percent, in which colour, and what it is called."""

    width: float
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A field of one part over time.

    Attributes:
        title: what it is.
        pieces: from left to right; they add up to 100 %.
        legend: label, share of the time, and colour, of what occurs.
    """

    title: str
    pieces: list[Piece]
    legend: list[tuple[str, float, str]]

    @property
    def is_constant(self) -> bool:
        """Whether it was in one state nearly all the time."""
        return len(self.legend) == 1 and self.legend[0][1] > _NEARLY_ALL

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Label and share of the time."""
        return [(label, share) for label, share, _ in self.legend]


def of_readings(answer: ReadingsAnswer, kind: Kind, fields: Sequence[Field], tongue: Tongue) -> list[Strip]:
    """The states that a device sent over time: a strip for each field and part.

    Args:
        answer: its readings, the oldest first.
        kind: its kind.
        fields: which.
        tongue: the language.
    """
    begin, end = _s(answer.start), _s(answer.stop)
    hold = kind.max_hold_ns / 1e9
    found = []
    for field in fields:
        samples: dict[str, list[tuple[float, str]]] = {}
        for reading in answer.readings:
            value = reading.values[field.name]
            if value is not None:
                label = str(value).lower() if field.boolean else str(value)
                samples.setdefault(reading.part or "", []).append((_s(reading.time), label))
        for part, mine in samples.items():
            title = tongue.text(field.title) + (f" · {tongue.text(kind.word(part))}" if part else "")
            found.append(_strip(title, mine, (begin, end), hold, field, kind, tongue))
    return found


def _strip(  # noqa: PLR0913, PLR0917  (what a strip is made of)
    title: str, samples: Sequence[tuple[float, str]], span: tuple[float, float], hold: float, field: Field, kind: Kind,
    tongue: Tongue,
) -> Strip:  # fmt: skip
    begin, end = span
    held: list[tuple[str | None, float]] = []
    at = begin
    for number, (time, label) in enumerate(samples):
        _add(held, None, time - at)
        until = min(samples[number + 1][0] if number + 1 < len(samples) else end, time + hold, end)
        _add(held, label, until - time)
        at = max(until, at)
    _add(held, None, end - at)
    whole = max(end - begin, 1.0)
    colours = {label: PALETTE[place % len(PALETTE)] for place, label in enumerate(field.labels)}
    names = {label: tongue.text(kind.word(label)) for label in field.labels}
    seconds: dict[str, float] = {}
    pieces = []
    for held_label, length in held:
        if held_label is None:
            pieces.append(Piece(round(100 * length / whole, 3), _OPEN, tongue.word("unobserved")))
            continue
        seconds[held_label] = seconds.get(held_label, 0.0) + length
        name = f"{names.get(held_label, held_label)}: {tongue.duration(length)}"
        pieces.append(Piece(round(100 * length / whole, 3), colours.get(held_label, PALETTE[0]), name))
    legend = [
        (names.get(label, label), length / whole, colours.get(label, PALETTE[0])) for label, length in seconds.items()
    ]
    return Strip(title, pieces, legend)


def _add(held: list[tuple[str | None, float]], label: str | None, length: float) -> None:
    """Append a time in a state, or lengthen the last one."""
    if length <= 0:
        return
    if held and held[-1][0] == label:
        held[-1] = (label, held[-1][1] + length)
    else:
        held.append((label, length))


def _s(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
