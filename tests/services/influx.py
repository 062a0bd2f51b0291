"""The real influxd 2.8, and buckets in it."""

import http.client
import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from tests.services.process import START_S, Service, ServiceError

_BUILD = Path(__file__).resolve().parent.parent.parent / "scripts" / "build-influxd"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket of a running influxd, and a token that may do anything."""

    url: str
    org: str
    bucket: str
    token: str = field(repr=False)

    def write(self, lines: str, *, precision: str = "ns") -> None:
        """Write line protocol.

        Raises:
            ServiceError: influxd refused it.
        """
        where = urlencode({"org": self.org, "bucket": self.bucket, "precision": precision})
        _request(self.url, "POST", f"/api/v2/write?{where}", token=self.token, body=lines.encode())

    def query(self, flux: str, *, within_s: float = START_S) -> str:
        """The annotation-free CSV that a Flux query answers with.

        Raises:
            ServiceError: influxd refused it, or was silent for too long.
        """
        body = json.dumps({"query": flux, "dialect": {"annotations": [], "header": True}}).encode()
        where = urlencode({"org": self.org})
        answer = _request(
            self.url, "POST", f"/api/v2/query?{where}", token=self.token, body=body, within_s=within_s
        ).decode()
        if "\r\nerror,reference\r\n" in "\r\n" + answer:  # an error after the answer began comes inside it
            raise ServiceError(f"{flux}\n{answer}")
        return answer


@dataclass(kw_only=True)
class Influxd(Service):
    """A real influxd, set up with an organisation, a bucket and an admin token.

    Attributes:
        set_up: False leaves it as a fresh installation, for tests of the set-up itself.
    """

    set_up: bool = True
    org: str = "courtyard"
    bucket: str = "readings"
    username: str = "admin"
    password: str = field(default="only-for-tests", repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    """More flags of influxd, by name without the dashes."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Start it, wait until it answers and, where it is a fresh one, set it up.

        Raises:
            ServiceError: it is not installed, did not start, or refused the set-up.
        """
        super().start()
        try:
            if self.set_up:
                self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def _set_up(self) -> None:
        if not json.loads(self.request("GET", "/api/v2/setup"))["allowed"]:
            return
        wanted = {
            "username": self.username,
            "password": self.password,
            "org": self.org,
            "bucket": self.bucket,
            "token": self.token,
        }
        self.request("POST", "/api/v2/setup", wanted)

    def request(self, method: str, path: str, body: Any = None) -> bytes:  # noqa: ANN401  (any JSON)
        """Send a request with the admin token; the body of the answer.

        Raises:
            ServiceError: influxd refused it or is away.
        """
        encoded = None if body is None else json.dumps(body).encode()
        return _request(self.url, method, path, token=self.token, body=encoded)

    def environment(self) -> dict[str, str]:
        """The settings that point Courtyard at it, with the admin token."""
        return {
            "COURTYARD_STORE": "influx",
            "COURTYARD_INFLUX_URL": self.url,
            "COURTYARD_INFLUX_ORG": self.org,
            "COURTYARD_INFLUX_BUCKET": self.bucket,
            "COURTYARD_INFLUX_TOKEN": self.token,
        }

    def create_bucket(self, name: str | None = None, *, retention_s: int = 0) -> Bucket:
        """Make a bucket, with a name of its own where none is given; it keeps points for ever where 0."""
        name = name or f"bucket-{secrets.token_hex(6)}"
        rules = [{"type": "expire", "everySeconds": retention_s}] if retention_s else []
        orgs = json.loads(self.request("GET", "/api/v2/orgs?" + urlencode({"org": self.org})))
        wanted = {"orgID": orgs["orgs"][0]["id"], "name": name, "retentionRules": rules}
        self.request("POST", "/api/v2/buckets", wanted)
        return Bucket(url=self.url, org=self.org, bucket=name, token=self.token)

    def delete_bucket(self, name: str) -> None:
        """Remove a bucket and its points; nothing where there is none."""
        found = json.loads(self.request("GET", "/api/v2/buckets?" + urlencode({"org": self.org, "name": name})))
        for each in found["buckets"]:
            self.request("DELETE", f"/api/v2/buckets/{each['id']}")

    def _command(self) -> list[str]:
        flags = {
            "http-bind-address": f"{self.host}:{self.port}",
            "bolt-path": str(self.folder / "influxd.bolt"),
            "sqlite-path": str(self.folder / "influxd.sqlite"),
            "engine-path": str(self.folder / "engine"),
            "reporting-disabled": "true",
            "log-level": "error",
            **self.settings,
        }
        return [str(influxd_binary()), *(f"--{key}={value}" for key, value in flags.items())]

    def _answers(self) -> bool:
        try:
            return bool(json.loads(_request(self.url, "GET", "/health"))["status"] == "pass")
        except ServiceError:
            return False


def influxd_binary() -> Path:
    """The path of influxd 2.8; `COURTYARD_INFLUXD`, or built once per machine by `scripts/build-influxd`.

    Raises:
        ServiceError: it cannot be built here.
    """
    given = os.environ.get("COURTYARD_INFLUXD")
    if given:
        return Path(given)
    done = subprocess.run(
        [str(_BUILD)], stdout=subprocess.PIPE, check=False, text=True
    )  # its progress goes on to our stderr
    if done.returncode:
        raise ServiceError("influxd is missing and scripts/build-influxd failed (see above); it needs Go, Rust and cc")
    return Path(done.stdout.strip())


def _request(
    url: str, method: str, path: str, *, token: str | None = None, body: bytes | None = None, within_s: float = START_S
) -> bytes:
    headers = {"Content-Type": "application/json", "Connection": "close"}
    if token is not None:
        headers["Authorization"] = f"Token {token}"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=within_s)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise ServiceError(f"{method} {url}{path}: {exc}") from exc
    finally:
        connection.close()
    if answer.status >= 400:
        raise ServiceError(f"{method} {url}{path}: {answer.status} {content.decode(errors='replace')}")
    return content
