"""Signing in by an identity provider: a small one that serves OpenID Connect, and lies where it is told to."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from jwt.algorithms import ECAlgorithm

from access.callers import Grant, Scope
from access.doors import Doors
from access.errors import IdentityError
from access.provider import Provider, ProviderOptions
from devices.registry import Registry
from pages.rendering import Renderer
from pages.way_in import way_in
from records.database import Database
from tests.access.conftest import Clock
from tests.api.client import Client
from tests.api.world import NOW_NS, inventory_of

BACK = "https://courtyard.test/sign-in/provider/back"


class Issuer:
    """An identity provider.

    Attributes:
        claims: what its next token says instead of the truth.
        key: what it signs with.
        away: whether it answers with errors.
    """

    def __init__(self) -> None:
        """Listen on loopback."""
        self.claims: dict[str, Any] = {}
        self.published = self.key = ec.generate_private_key(ec.SECP256R1())
        self.algorithm, self.away = "ES256", False
        self.codes: dict[str, dict[str, str]] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/jwks":
                    public = json.loads(ECAlgorithm.to_jwk(issuer.published.public_key()))
                    self.answer({"keys": [{**public, "kid": "1", "use": "sig"}]})
                else:
                    assert self.path == "/.well-known/openid-configuration"
                    self.answer(issuer.configuration())

            def do_POST(self) -> None:
                body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.answer(issuer.token({name: each[0] for name, each in body.items()}))

            def answer(self, body: object) -> None:
                self.send_response(503 if issuer.away else 200)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def configuration(self) -> dict[str, str]:
        names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        return {"issuer": self.url, **{name: self.url + path for name, path in names.items()}}

    def authorize(self, address: str) -> str:
        """What a browser does there: somebody agrees; the code that is sent back."""
        asked = {name: each[0] for name, each in parse_qs(urlsplit(address).query).items()}
        assert asked["redirect_uri"] == BACK
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return code

    def token(self, form: dict[str, str]) -> dict[str, str]:
        asked = self.codes.pop(form["code"], None)
        if asked is None or form["client_secret"] != "s" * 32:
            return {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        assert challenge.decode() == asked["code_challenge"]
        now = int(time.time())
        claims = {"iss": self.url, "aud": "courtyard", "sub": "subject-1", "iat": now, "exp": now + 60,
                  "nonce": asked["nonce"], **self.claims}  # fmt: skip
        said = {name: each for name, each in claims.items() if each is not None}
        key: Any = "x" * 64 if self.algorithm == "HS256" else None if self.algorithm == "none" else self.key
        return {"id_token": jwt.encode(said, key, self.algorithm, headers={"kid": "1"})}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def provider(issuer: Issuer) -> Provider:
    return Provider(
        ProviderOptions(issuer=issuer.url, client_id="courtyard", client_secret="s" * 32, redirect_uri=BACK)
    )


def test_somebody_comes_back(provider: Provider, issuer: Issuer) -> None:
    address, state = provider.begin("/alarms")
    code = issuer.authorize(address)
    assert provider.finish(state, code, state) == ("subject-1", "/alarms")
    with pytest.raises(IdentityError, match="not begun here"):  # once is enough
        provider.finish(state, code, state)


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://elsewhere.example"}, {"aud": "another"}, {"exp": 1}, {"exp": None}, {"sub": None},
     {"nonce": "x"}, {"nonce": None}, {"iat": None}, {"sub": 5}],
)  # fmt: skip
def test_a_token_that_says_something_else_is_not_believed(
    provider: Provider, issuer: Issuer, claims: dict[str, Any]
) -> None:
    issuer.claims = claims
    address, state = provider.begin("/")
    with pytest.raises(IdentityError):
        provider.finish(state, issuer.authorize(address), state)


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256"])
def test_a_token_signed_by_somebody_else_is_not_believed(provider: Provider, issuer: Issuer, algorithm: str) -> None:
    issuer.algorithm, issuer.key = algorithm, ec.generate_private_key(ec.SECP256R1())
    address, state = provider.begin("/")
    with pytest.raises(IdentityError, match="cannot be believed"):
        provider.finish(state, issuer.authorize(address), state)


def test_another_browser_cannot_finish(provider: Provider, issuer: Issuer) -> None:
    address, state = provider.begin("/")
    code = issuer.authorize(address)
    for cookie in ("", "x", "é"):
        with pytest.raises(IdentityError):
            provider.finish(state, code, cookie)
        address, state = provider.begin("/")
    with pytest.raises(IdentityError, match="no id_token"):
        provider.finish(state, "made-up", state)


def test_a_provider_that_is_away_or_another(provider: Provider, issuer: Issuer) -> None:
    issuer.away = True
    with pytest.raises(IdentityError, match="did not answer"):
        provider.begin("/")
    options = ProviderOptions(issuer=issuer.url + "/", client_id="c", client_secret="s", redirect_uri=BACK)
    issuer.away = False
    with pytest.raises(IdentityError, match="calls itself"):
        Provider(options).begin("/")


def test_the_pages_let_in_who_is_known_here(
    provider: Provider, issuer: Issuer, database: Database, clock: Clock, registry: Registry
) -> None:
    doors = Doors(database, keys=("x" * 16,), provider=provider, clock=clock)
    assert doors.people is not None
    app = FastAPI()
    app.include_router(way_in(doors, Renderer(inventory_of(registry), registry)))
    with Client(app, key=None) as client:
        assert "/sign-in/provider" in client.get("/sign-in").text

        def come_back() -> Any:  # noqa: ANN401  (an answer)
            sent = client.get("/sign-in/provider?next=/wall")
            state = sent.cookies["courtyard_flow"]
            code = issuer.authorize(sent.headers["location"])
            return client.get(f"/sign-in/provider/back?state={state}&code={code}")

        assert come_back().status_code == 403
        grant = Grant(scopes=frozenset({Scope.READ}))
        doors.people.add("li", "Li Wei", grant, now_ns=NOW_NS, subject="subject-1")
        answer = come_back()
        assert (answer.status_code, answer.headers["location"]) == (303, "/wall")
        caller = doors.by_cookie(answer.cookies["courtyard_session"])
        assert caller is not None
        assert (caller.name, caller.grant) == ("Li Wei", grant)
        assert client.get("/sign-in/provider/back?state=x&code=y").status_code == 401
        issuer.away = True
        assert come_back_away(client) == 401
        assert doors.sign_in("li", "", "192.0.2.1") is None  # who comes by the provider has no password


def come_back_away(client: Client) -> int:
    sent = client.get("/sign-in/provider")
    state = sent.cookies["courtyard_flow"]
    return client.get(f"/sign-in/provider/back?state={state}&code=x").status_code
