"""Failures of InfluxDB and of the way to it, translated into our errors: the one place that knows theirs."""

import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3.exceptions
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.rest import ApiException

from devices.errors import SettingsError, StoreDeniedError, StoreError, StoreRejectedError, StoreUnavailableError

MAX_RETRY_AFTER_S = 3600.0
"""The longest that a server may ask us to wait; more is a mistake of its clock, or malice."""

_SECONDS = re.compile(r"[0-9]{1,9}")
_MAX_TEXT = 300
_NO_ORG = re.compile(r"organization name .* not found")  # said with status 400 to a question
_HIDDEN = re.compile(r"database not found|.*unauthori[sz]ed|not authorized")
"""What InfluxQL says where the bucket is missing, or hidden from us."""

_DENIED = {401, 403}
_MISSING = 404
_MALFORMED = 400
_TOO_LARGE = 413
_PARTIAL = 422


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn whatever the client raises within into an error of ours.

    Args:
        doing: what is being tried, for the message: "InfluxDB at http://… did not take readings".

    Raises:
        StoreUnavailableError: no connection, no answer in time, and everything not named below (with what Retry-After
            says): whoever answers so, a proxy or another server, has not judged our readings.
        StoreDeniedError: 401, 403, and 404, which InfluxDB answers where the bucket is missing or hidden from us.
        StoreRejectedError: 413, and 400 and 422 where InfluxDB itself says so; `partial` for 422.
    """
    try:
        yield
    except ApiException as exc:
        if not exc.status:
            raise StoreUnavailableError(f"{doing}: {_plain(exc.reason)}") from exc
        raise _from_status(doing, int(exc.status), exc.body, exc.headers or {}) from exc
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, UnicodeError) as exc:
        raise StoreUnavailableError(f"{doing}: {_cause(exc)}; check that it runs and COURTYARD_INFLUX_URL") from exc
    except InfluxDBError as exc:
        raise StoreUnavailableError(f"{doing}: {_plain(exc)}") from exc


def said(doing: str, message: str) -> StoreError:
    """The error for what InfluxDB says, with status 200, where an answer to InfluxQL would stand."""
    text = f"{doing}: {_plain(message)}"
    if _HIDDEN.match(message):
        return StoreDeniedError(f"{text}; create the bucket and its tokens with `python -m courtyard init`")
    return StoreUnavailableError(text)


def check_url(url: str) -> None:
    """Refuse what is no address of an InfluxDB.

    Raises:
        SettingsError: it is not of the form http://host:port or https://host:port.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"COURTYARD_INFLUX_URL is {url[:100]!r}; write it as http://localhost:8086")


def retry_after_s(text: str | None, *, now_s: float) -> float | None:
    """What a Retry-After header asks for.

    Args:
        text: the header, seconds or an HTTP date (RFC 9110, section 10.2.3); anything else counts as none.
        now_s: the time, seconds since the epoch.

    Returns:
        Seconds from now, 0 to `MAX_RETRY_AFTER_S`, or None.
    """
    if text is None or len(text) > _MAX_TEXT:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        wait = date.timestamp() - now_s
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def _from_status(doing: str, status: int, body: object, headers: Mapping[str, str]) -> StoreError:
    message = _message(body)
    said = f"{doing}: HTTP {status}, {message}"
    if status in _DENIED:
        return StoreDeniedError(f"{said}; check the token (`python -m courtyard init` makes one)")
    if status == _MISSING or _NO_ORG.search(message):
        return StoreDeniedError(f"{said}; create the bucket and its tokens with `python -m courtyard init`")
    if status == _TOO_LARGE or (status in {_MALFORMED, _PARTIAL} and _is_own(body)):
        return StoreRejectedError(said, partial=status == _PARTIAL)
    return StoreUnavailableError(said, retry_after_s=retry_after_s(headers.get("Retry-After"), now_s=time.time()))


def _is_own(body: object) -> bool:
    """Whether InfluxDB wrote this: its errors are JSON objects with a code."""
    try:
        return isinstance(json.loads(_text(body))["code"], str)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _text(body: object) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")


def _message(body: object) -> str:
    text = _text(body)
    try:
        answer = json.loads(text)
        text = str(answer["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        pass  # not InfluxDB's own answer: a proxy's page, say; its beginning tells most
    return _plain(text) or "without a message"


def _plain(text: object) -> str:
    return re.sub(r"\s+", " ", str(text))[:_MAX_TEXT].strip()


def _cause(exc: Exception) -> str:
    """What went wrong, without the objects and addresses that urllib3 speaks of."""
    if isinstance(exc, urllib3.exceptions.MaxRetryError) and exc.reason is not None:
        exc = exc.reason
    if isinstance(exc, urllib3.exceptions.NewConnectionError):  # by its class a timeout, but hardly ever one
        return _plain(str(exc).rpartition(": ")[2])
    if isinstance(exc, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return _plain(exc)
