"""The error tree. Every error carries a stable code, the same in logs, counters, dead letters and the API.

The `errors.py` of access, ingest, api, rollups, alarms and records, and `live/hub.py` add the few that only they raise.

CourtyardError
├── DeclarationError      a kind file is wrong; raised at start
├── InventoryError        an inventory is wrong; raised at start
├── SettingsError         a setting is missing or wrong; raised at start
├── ReadingError          a message from a device is refused; its code is a `Reason`
├── QueryError            a question that cannot be answered as put; becomes a 4xx
│   └── NotFoundError     it names something that does not exist; becomes a 404
├── BrokerError           the MQTT broker refused or is away
└── StoreError            the store failed
    ├── StoreUnavailableError   away or overloaded: the same call may go through later
    ├── StoreRejectedError      it will never take this: do not repeat it unchanged
    └── StoreDeniedError        the credentials are wrong or lack a right
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a message was refused. The values are stable: they stand in counters, logs and dead letters."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    JSON = "json"
    TYPE = "type"
    RANGE = "range"
    NOT_FINITE = "not_finite"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_LABEL = "unknown_label"
    TOPIC = "topic"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_COMPOUND = "unknown_compound"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_PART = "unknown_part"
    FUTURE = "future"
    EXPIRED = "expired"
    PRIVACY = "privacy"
    RATE = "rate"
    DELETED = "deleted"
    STORE_REJECTED = "store_rejected"
    SPOOL_CORRUPT = "spool_corrupt"


class CourtyardError(Exception):
    """Base of all errors of this project.

    Attributes:
        code: stable, machine-readable name of what went wrong.
        message: what went wrong and what to do, for people.
    """

    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Make an error with a message for people and, where it differs from the class's, a code of its own."""
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class DeclarationError(CourtyardError):
    """A device kind is declared wrongly."""

    code = "declaration"


class InventoryError(CourtyardError):
    """An inventory contradicts itself or the kinds."""

    code = "inventory"


class SettingsError(CourtyardError):
    """A setting is missing or wrong."""

    code = "settings"


class ReadingError(CourtyardError):
    """A message is refused whole.

    Attributes:
        reason: the stable reason, also its `code`.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        """Refuse a message for `reason`."""
        super().__init__(message, code=reason.value)
        self.reason = reason


class QueryError(CourtyardError):
    """A question cannot be answered as it was put."""

    code = "query"


class NotFoundError(QueryError):
    """A question names something that does not exist."""

    code = "not_found"


class BrokerError(CourtyardError):
    """The MQTT broker refused the connection or cannot be reached."""

    code = "broker"


class StoreError(CourtyardError):
    """The store failed."""

    code = "store"


class StoreUnavailableError(StoreError):
    """The store is away or overloaded; the same call may go through later.

    Attributes:
        retry_after_s: what the store itself asked for, in seconds, or None.
    """

    code = "store_unavailable"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Say that the store is away, and for how long where it said so."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRejectedError(StoreError):
    """The store refuses this content for good.

    Attributes:
        partial: True where the store kept the acceptable rows of the batch, False where it kept none.
    """

    code = "store_rejected"

    def __init__(self, message: str, *, partial: bool = False) -> None:
        """Say what was refused, and whether the rest of the batch was kept."""
        super().__init__(message)
        self.partial = partial


class StoreDeniedError(StoreError):
    """The store does not accept our credentials for this."""

    code = "store_denied"
