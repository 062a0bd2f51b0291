"""Signing in by an identity provider: OpenID Connect, authorisation code flow with PKCE.

After OpenID Connect Core 1.0 (https://openid.net/specs/openid-connect-core-1_0.html), RFC 7636 and RFC 9700. Tokens are
checked by PyJWT against the keys that the provider publishes; only asymmetric algorithms are taken.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from access.errors import IdentityError

_ALGORITHMS = ("RS256", "ES256", "PS256", "EdDSA")
_FLOW_S = 600.0
_MOST_FLOWS = 1000
_PATIENCE_S = 10.0
_LEEWAY_S = 30
_CONFIGURATION = "/.well-known/openid-configuration"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderOptions:
    """Which provider, and what it calls us.

    Attributes:
        issuer: its address, as it stands in its tokens.
        client_id: our name there.
        client_secret: what we show it; never shown by `repr`.
        redirect_uri: where it sends browsers back to.
        ca_file: certificates to trust of it, in place of the system's; None for those.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class _Flow:
    nonce: str
    verifier: str
    after: str
    begun: float


class Provider:
    """Sends browsers to the provider, and takes them back. Any number of threads may ask."""

    def __init__(self, options: ProviderOptions) -> None:
        """Prepare; the provider is asked for its configuration when somebody first signs in."""
        self._options = options
        self._lock = threading.Lock()
        self._flows: OrderedDict[str, _Flow] = OrderedDict()
        self._configuration: Mapping[str, Any] | None = None
        self._keys: jwt.PyJWKClient | None = None

    def begin(self, after: str) -> tuple[str, str]:
        """Begin to sign somebody in.

        Args:
            after: where they want to go.

        Returns:
            Where to send the browser, and the state, which a cookie of the browser is to hold until it is back.

        Raises:
            IdentityError: the provider is away.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        with self._lock:
            self._flows[state] = _Flow(nonce, verifier, after, time.monotonic())
            while len(self._flows) > _MOST_FLOWS:
                self._flows.popitem(last=False)
        query = {
            "response_type": "code", "client_id": self._options.client_id, "scope": "openid",
            "redirect_uri": self._options.redirect_uri, "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{self._endpoint('authorization_endpoint')}?{urlencode(query)}", state

    def finish(self, state: str, code: str, cookie: str) -> tuple[str, str]:
        """Take a browser back.

        Args:
            state: as the provider sent it.
            code: as the provider sent it.
            cookie: the state that the browser holds.

        Returns:
            Who it is to the provider (`sub`), and where they wanted to go.

        Raises:
            IdentityError: this browser did not begin it, it took too long, or the provider's word cannot be believed.
        """
        with self._lock:
            flow = self._flows.pop(state, None)
        same = hmac.compare_digest(state.encode(), cookie.encode())
        if flow is None or not same or time.monotonic() - flow.begun > _FLOW_S:
            raise IdentityError("this sign-in was not begun here, or took too long; begin anew")
        asked = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self._options.redirect_uri,
            "client_id": self._options.client_id, "client_secret": self._options.client_secret,
            "code_verifier": flow.verifier,
        }  # fmt: skip
        answer = self._asked("POST", self._endpoint("token_endpoint"), asked)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IdentityError("the identity provider sent no id_token")
        claims = self._believed(token)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise IdentityError("the identity provider's token belongs to another sign-in")
        return str(claims["sub"]), flow.after

    def _believed(self, token: str) -> Mapping[str, Any]:
        """The claims of a token whose signature, issuer, audience and time are right."""
        uri = self._endpoint("jwks_uri")
        with self._lock:
            if self._keys is None:
                context = httpx.create_ssl_context(verify=self._options.ca_file or True)
                self._keys = jwt.PyJWKClient(uri, timeout=_PATIENCE_S, ssl_context=context)
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token, key.key, algorithms=list(_ALGORITHMS), audience=self._options.client_id,
                issuer=self._options.issuer, leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError as exc:
            raise IdentityError(f"the identity provider's token cannot be believed: {exc}") from exc
        return claims

    def _endpoint(self, name: str) -> str:
        if self._configuration is None:
            found = self._asked("GET", self._options.issuer.rstrip("/") + _CONFIGURATION)
            if found.get("issuer") != self._options.issuer:
                raise IdentityError(f"{self._options.issuer} calls itself {found.get('issuer')!r}: set the same issuer")
            self._configuration = found
        address = self._configuration.get(name)
        if not isinstance(address, str):
            raise IdentityError(f"the identity provider has no {name}")
        return address

    def _asked(self, method: str, address: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            context = httpx.create_ssl_context(verify=self._options.ca_file or True)
            answer = httpx.request(method, address, data=form, timeout=_PATIENCE_S, verify=context)
            answer.raise_for_status()
            body = answer.json()
        except (httpx.HTTPError, ValueError, OSError) as exc:
            raise IdentityError(f"the identity provider did not answer as one: {type(exc).__name__}") from exc
        if not isinstance(body, dict):
            raise IdentityError("the identity provider did not answer as one")
        return body
