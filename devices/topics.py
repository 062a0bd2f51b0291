"""Topics: `compounds/{compound}/{kind}/{device}/{channel}`. No bare topic string passes the edge."""

from dataclasses import dataclass
from typing import Self

from devices.errors import ReadingError, Reason
from devices.kind import Channel
from devices.names import is_id

ROOT = "compounds"
ALL = f"{ROOT}/+/+/+/+"
"""The filter that covers every device of every compound."""

_LEVELS = 5
_CHANNELS = {str(channel): channel for channel in Channel}


@dataclass(frozen=True, slots=True)
class Topic:
    """One device's channel.

    Attributes:
        compound: id of the compound.
        kind: name of the kind.
        device: id of the device.
        channel: telemetry, event or status.
    """

    compound: str
    kind: str
    device: str
    channel: Channel

    def __str__(self) -> str:
        """The topic as MQTT carries it."""
        return f"{ROOT}/{self.compound}/{self.kind}/{self.device}/{self.channel}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a topic.

        Args:
            text: a topic name as received.

        Returns:
            The topic.

        Raises:
            ReadingError: with reason `topic`; the text has another shape, or an id has characters it may not have.
        """
        levels = text.split("/")
        if len(levels) != _LEVELS or levels[0] != ROOT:
            raise ReadingError(Reason.TOPIC, f"a topic reads {ROOT}/{{compound}}/{{kind}}/{{device}}/{{channel}}")
        _, compound, kind, device, channel = levels
        if channel not in _CHANNELS:
            raise ReadingError(Reason.TOPIC, f"the channel must be one of {', '.join(_CHANNELS)}")
        if not (is_id(compound) and is_id(device)):
            raise ReadingError(Reason.TOPIC, "ids take 1 to 64 of a-z, 0-9 and -")
        return cls(compound, kind, device, _CHANNELS[channel])
