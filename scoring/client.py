"""What a running API serves."""

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devices.errors import QueryError, StoreUnavailableError
from devices.statistics import Group

_TIMEOUT_S = 120.0
_SAID = 300


class Client:
    """Asks an API for statistics."""

    def __init__(self, url: str, key: str | None, *, ca_file: Path | None = None) -> None:
        """Prepare to ask.

        Args:
            url: its address, for example "http://127.0.0.1:8000".
            key: the key to show, or None where it asks for none.
            ca_file: certificates to trust, in place of the system's; None for those.

        Raises:
            QueryError: the address is no HTTP address, or the certificates cannot be read.
        """
        if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
            raise QueryError(f"{url!r} is no address of an API; write http://127.0.0.1:8000")
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except OSError as exc:
            raise QueryError(f"the certificates in {ca_file} cannot be read: {exc}") from exc
        self._url = url.rstrip("/")
        self._headers = {} if key is None else {"X-API-Key": key}

    def statistics(  # noqa: PLR0913  (a question's parts)
        self, path: str, group: Group, kind: str, *, start: str, stop: str, every: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """The statistics of one kind in one scope, as the API writes them: by name.

        Args:
            path: where the API has the scope: "compounds/jingyuan" or "fleet".
            group: which statistics.
            kind: name of the kind.
            start: first instant, ISO 8601.
            stop: end, ISO 8601.
            every: length of a bucket.
            params: which devices of the scope.

        Raises:
            StoreUnavailableError: the API cannot be reached, or did not answer with statistics.
        """
        question = {"kind": kind, "start": start, "stop": stop, "every": every, **params}
        address, said = self._asked(f"/v1/{path}/{group}", question)
        try:
            found: Mapping[str, Any] = said["kinds"][kind]["statistics"]
        except (KeyError, TypeError) as exc:
            raise StoreUnavailableError(f"{address} did not answer with statistics: {exc}") from exc
        return found

    def get(self, path: str, **params: str) -> Mapping[str, Any]:
        """What the API answers at an address.

        Args:
            path: for example "/v1/overview".
            params: the parameters.

        Raises:
            StoreUnavailableError: it cannot be reached, or refused, or did not answer with a JSON object.
        """
        address, said = self._asked(path, params)
        if not isinstance(said, dict):
            raise StoreUnavailableError(f"{address} did not answer as this API does")
        return said

    def file(self, path: str, **params: str) -> bytes:
        """The bytes that the API answers with at an address; raises as `get` does."""
        return self._read(path, params)[1]

    def _asked(self, path: str, params: Mapping[str, str]) -> tuple[str, Any]:
        """The address that is asked, and the JSON that it answers with."""
        address, body = self._read(path, params)
        try:
            return address, json.loads(body)
        except ValueError as exc:
            raise StoreUnavailableError(f"{address} did not answer: {exc}") from exc

    def _read(self, path: str, params: Mapping[str, str]) -> tuple[str, bytes]:
        """The address that is asked, and the body of its answer."""
        address = f"{self._url}{path}{'?' if params else ''}{urllib.parse.urlencode(params)}"
        request = urllib.request.Request(address, headers=self._headers)  # noqa: S310  (the scheme was checked)
        try:
            with urllib.request.urlopen(  # noqa: S310  # nosec B310
                request, timeout=_TIMEOUT_S, context=self._context
            ) as answer:
                body: bytes = answer.read()
                return address, body
        except urllib.error.HTTPError as exc:
            why = exc.read().decode(errors="replace")[:_SAID]
            raise StoreUnavailableError(f"{address} answered HTTP {exc.code}: {why}") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise StoreUnavailableError(f"{address} did not answer: {exc}") from exc
