"""What the API is told at start. `courtyard/` builds it from the settings."""

from dataclasses import dataclass, field

from devices.errors import SettingsError

MIN_KEY_LENGTH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiOptions:
    """How the API behaves.

    Attributes:
        keys: the API keys accepted, each at least 16 characters; never shown by `repr`.
        open_access: no key is asked for. For a demo on loopback only.
        max_span_days: the longest span that one question may cover, in days.
        status_days: how far back the last status and the last reading of a device are looked for, in days.
        heavy_at_once: how many questions that read history are answered at the same time; the rest queue.
        heavy_wait_s: how long such a question queues before it is refused with 503, in seconds.
        hold_s: how long one look at this moment (`/ready`, how compounds and devices are) serves all who ask, in
            seconds; the latter serves up to three times as long while the next is made.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    open_access: bool = False
    max_span_days: int = 400
    status_days: int = 400
    heavy_at_once: int = 4
    heavy_wait_s: float = 10.0
    hold_s: float = 2.0

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            SettingsError: nobody could ever be let in, or a key could be guessed.
        """
        if not self.open_access and not self.keys:
            raise SettingsError("the API needs a key: set COURTYARD_API_KEY (courtyard init makes one)")
        if any(len(key) < MIN_KEY_LENGTH for key in self.keys):
            raise SettingsError(f"an API key is too short: use at least {MIN_KEY_LENGTH} random characters")
        if self.max_span_days < 1 or self.status_days < 1 or self.heavy_at_once < 1:
            raise SettingsError("the API's max_span_days, status_days and heavy_at_once must be 1 or more")
