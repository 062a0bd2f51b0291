"""What a fault test found."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Report:
    """The result of one scenario.

    Attributes:
        name: the scenario.
        figures: what was measured, by name.
        faults: what is not as promised, in words; empty where all is.
        samples: measurements over time, for scenarios that take them.
    """

    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001  (reads like an assert)
        """Note a fault where something does not hold."""
        if not holds:
            self.faults.append(otherwise)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)
