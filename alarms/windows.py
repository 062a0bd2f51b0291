"""Maintenance windows: while one is open, nothing is raised about what it covers."""

from collections.abc import Iterable
from dataclasses import dataclass

from alarms.standing import Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One window.

    Attributes:
        id: its number.
        compound: id of the compound that it is about.
        device: id of the device; "" for all of the compound.
        start_ns: from here on.
        stop_ns: until here.
        by: who made it.
        note: what they wrote.
    """

    id: int
    compound: str
    device: str
    start_ns: int
    stop_ns: int
    by: str
    note: str


class Windows:
    """The windows in force."""

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        """Hold some."""
        self._by_compound: dict[str, list[Window]] = {}
        self.replace(windows)

    def replace(self, windows: Iterable[Window]) -> None:
        """Hold others in their place."""
        self._by_compound = {}
        for each in windows:
            self._by_compound.setdefault(each.compound, []).append(each)

    def cover(self, subject: Subject, at_ns: int) -> bool:
        """Whether nothing is to be raised about a subject at an instant."""
        return any(
            each.device in {"", subject.device} and each.start_ns <= at_ns < each.stop_ns
            for each in self._by_compound.get(subject.compound, ())
        )
