"""Errors of the API itself, and which status each error of the tree becomes.

CourtyardError
├── BusyError      too many questions at once: the same call may go through later
├── KeysAwayError    keys are kept where this API cannot reach them
├── AlarmsAwayError  alarms are kept where this API cannot reach them
├── StreamAwayError  this API does not follow the broker
├── LedgerAwayError  the ledger cannot be read from here
└── NotReadyError  the service is up but cannot do its work yet
"""

from collections.abc import Sequence
from http import HTTPStatus

from access.errors import (
    AccessError,
    ForbiddenError,
    ThrottledError,
)
from alarms.errors import AcknowledgedError
from devices.errors import (
    CourtyardError,
    NotFoundError,
    QueryError,
    StoreDeniedError,
    StoreUnavailableError,
)
from live.hub import StreamsFullError
from records.errors import RecordsError


class BusyError(CourtyardError):
    """Too many questions are being answered at once."""

    code = "busy"


class LedgerAwayError(CourtyardError):
    """The ledger is kept where this process cannot read it."""

    code = "ledger_away"


class AlarmsAwayError(CourtyardError):
    """Alarms are kept where this process cannot reach them."""

    code = "alarms_away"


class KeysAwayError(CourtyardError):
    """Keys and the audit log are kept where this process cannot reach them."""

    code = "keys_away"


class StreamAwayError(CourtyardError):
    """No broker is followed here."""

    code = "stream_away"


class NotReadyError(CourtyardError):
    """A part that the service needs is away.

    Attributes:
        reasons: one sentence for each part that is away.
    """

    code = "not_ready"

    def __init__(self, reasons: Sequence[str]) -> None:
        """Say what is away."""
        super().__init__("the service cannot do its work: " + "; ".join(reasons))
        self.reasons = tuple(reasons)


STATUSES: tuple[tuple[type[CourtyardError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (QueryError, HTTPStatus.BAD_REQUEST),
    (AccessError, HTTPStatus.UNAUTHORIZED),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (ThrottledError, HTTPStatus.TOO_MANY_REQUESTS),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotReadyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LedgerAwayError, HTTPStatus.SERVICE_UNAVAILABLE),
    (AlarmsAwayError, HTTPStatus.SERVICE_UNAVAILABLE),
    (KeysAwayError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StreamAwayError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StreamsFullError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RecordsError, HTTPStatus.SERVICE_UNAVAILABLE),
    (AcknowledgedError, HTTPStatus.CONFLICT),
    (StoreUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreDeniedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (CourtyardError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""The first class that an error is of gives its status."""

CODES: tuple[tuple[str, str], ...] = (
    ("query", "The question cannot be answered as it was put; `detail` says what to send."),
    ("validation", "A parameter has the wrong form or is unknown; `errors` names each one."),
    ("time", "A time cannot be read."),
    ("span_reversed", "`start` is not before `stop`."),
    ("span_too_long", "The span from `start` to `stop` is longer than is served at once."),
    ("cursor", "The cursor is not one that this API gave."),
    ("unknown_compound", "There is no such compound; `/v1/compounds` lists them."),
    ("unknown_device", "There is no such device; `/v1/devices` lists them."),
    ("unknown_kind", "There is no such kind; `/v1/kinds` lists them."),
    ("unknown_statistic", "There is no such statistic here; `/v1/statistics` lists them."),
    ("whole_compounds", "The statistic is about whole compounds, not about some of their devices."),
    ("several_time_zones", "The compounds share no days; ask for each of them."),
    ("unknown_building", "The compound has no such building, or no compound was named."),
    ("unknown_table", "The kind has no such table; `/v1/kinds` lists them."),
    ("unknown_field", "The table has no such field; `/v1/kinds` lists them."),
    ("not_found", "There is nothing at this address."),
    ("method_not_allowed", "The address does not take this method; `Allow` names those it takes."),
    ("http", "The request cannot be served as it was sent."),
    ("key_missing", "A key is required: `X-API-Key: …` or `Authorization: Bearer …`."),
    ("key_wrong", "The key is not accepted."),
    ("scope", "The key may not do this; `detail` names the scope that it needs."),
    ("whole_installation", "This is about the whole installation, and the key is for some compounds."),
    ("about_people", "These rows are the doings of single persons, which needs the scope `manage`."),
    ("rate", "The key asks too often; `Retry-After` and `RateLimit` say when it may ask again."),
    ("unknown_key", "There is no such key; `/v1/keys` lists them."),
    ("grant", "Such a key cannot be made; `detail` says why."),
    ("busy", "Too many questions at once; try again after `Retry-After` seconds."),
    ("not_ready", "The service is up, but a part it needs is away; `reasons` says which."),
    ("ledger_away", "The ledger cannot be read from here; `detail` says why."),
    ("alarms_away", "Alarms are kept where this API cannot reach them."),
    ("keys_away", "Keys and the audit log are kept where this API cannot reach them."),
    ("stream_away", "This API does not follow the broker; `detail` says what to set."),
    ("streams_full", "As many streams are open as may be; try again after `Retry-After` seconds."),
    ("records", "The database of alarms is away; try again after `Retry-After` seconds."),
    ("unknown_alarm", "There is no such alarm; `/v1/alarms` lists them."),
    ("unknown_window", "There is no such maintenance window; `/v1/maintenance` lists them."),
    ("unknown_rule", "There is no such alarm rule; `detail` lists them."),
    ("acknowledged", "Somebody has taken the alarm on already; `detail` says who."),
    ("store_unavailable", "The store is away; try again after `Retry-After` seconds."),
    ("store_denied", "The store does not let the API in; its operator has to act."),
    ("internal", "The service failed; the same call may fail again."),
)
"""Every code a problem of this API may carry, and what it means."""


def status_of(error: CourtyardError) -> HTTPStatus:
    """The HTTP status that `error` becomes."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))
