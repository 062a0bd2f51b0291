"""The settings of ingest, as one value that `courtyard` makes and passes down."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from devices.errors import SettingsError

_MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestOptions:
    """How ingest receives, spools and writes.

    Attributes:
        spool: path of the spool's SQLite file. One process alone may use it.
        client_id: MQTT client id; fixed, since the broker keeps the session under it.
        share: name of the shared-subscription group, or None to receive everything alone.
        receive_maximum: how many messages the broker may deliver before they are acknowledged.
        session_expiry_s: how long the broker keeps the session while ingest is away, in seconds.
        commit_age_s: a message waits at most this long for others to be spooled with, in seconds.
        commit_bytes: as many bytes of payload are spooled at once without waiting longer.
        write_rows: how many readings are joined into one write to the store.
        write_age_s: a spooled reading waits at most this long for others to be written with, in seconds.
        max_future_s: a reading may be this far ahead of the time it is received at, in seconds.
        max_age_days: a reading may be this old when it is received, in days.
        max_age_days_of: the same where rows of some tables are kept for less, by measurement; for all of their kind.
        spool_max_bytes: limit of what waits in the spool; at it ingest stops acknowledging.
        min_free_bytes: ingest stops acknowledging too when the disk has less than this left, so that the spool can
            still be trimmed.
        dead_letters_max: how many dead letters are kept; the oldest go first.
        dead_letters_max_bytes: how many bytes of their payloads are kept.
        dead_letters_days: for how long they are kept, in days.
        gap_grace_s: a missing reading may still come so long after a later one came, before it is reported, in seconds.
        device_rate: a device may send so many times what its kind reports (`ingest.limit`); 0 reads any number.
        device_catch_up_s: for so long after a silence the backlog of a device may come, in seconds.
        drain_timeout_s: how long `stop` may go on writing what is spooled, in seconds. The rest stays in the spool.
        notice_s: a trouble that lasts is logged once in so many seconds.
    """

    spool: Path
    client_id: str = "courtyard-ingest"
    share: str | None = None
    receive_maximum: int = 2000
    session_expiry_s: int = 30 * 24 * 3600
    commit_age_s: float = 0.02
    commit_bytes: int = 2 * _MB
    write_rows: int = 25_000
    write_age_s: float = 0.25
    max_future_s: float = 3600.0
    max_age_days: float = 90.0
    max_age_days_of: Mapping[str, float] = field(default_factory=dict)
    spool_max_bytes: int = 4096 * _MB
    min_free_bytes: int = 64 * _MB
    dead_letters_max: int = 10_000
    dead_letters_max_bytes: int = 256 * _MB
    dead_letters_days: float = 30.0
    gap_grace_s: float = 10.0
    device_rate: float = 10.0
    device_catch_up_s: float = 3600.0
    drain_timeout_s: float = 20.0
    notice_s: float = 5.0

    def __post_init__(self) -> None:
        """Check that every figure makes sense.

        Raises:
            SettingsError: one does not; the message names it.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int | float) and not value >= 0:
                raise SettingsError(f"{each.name} must not be negative, but is {value}")
        for name in ("receive_maximum", "commit_bytes", "write_rows", "max_age_days", "spool_max_bytes"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be above 0")
        if self.receive_maximum > 65535:
            raise SettingsError("receive_maximum: MQTT allows at most 65,535")
        if not self.client_id:
            raise SettingsError("client_id must not be empty: the broker keeps the session under it")
        if self.share is not None and (not self.share or set(self.share) & set("/+#")):
            raise SettingsError("share must be a name without /, + and #")
