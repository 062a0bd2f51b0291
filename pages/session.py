"""Who is at a page: a signed cookie that says who signed in with a key that the API accepts. Nothing is kept here."""

import hashlib
import hmac
import re

from itsdangerous import BadSignature, URLSafeTimedSerializer

from api.options import ApiOptions

COOKIE = "courtyard_session"
DAYS = 90
"""So long a browser stays signed in. A wall is signed in anew four times a year."""

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")


class Sessions:
    """Issues and reads the cookie.

    Attributes:
        is_open: whether nobody need sign in: a demo on loopback.
    """

    def __init__(self, options: ApiOptions) -> None:
        """Sign with what is derived from the keys: where they change, everybody signs in anew."""
        self.is_open = options.open_access
        self._keys = options.keys
        secret = hashlib.sha256(b"\0".join([b"courtyard pages", *(key.encode() for key in options.keys)])).hexdigest()
        self._signer = URLSafeTimedSerializer(secret, salt="session")

    def issue(self, key: str, name: str) -> str | None:
        """The cookie of somebody who shows a key; None where it is not accepted, or the name is none."""
        shown = key.encode()
        accepted = sum(hmac.compare_digest(shown, each.encode()) for each in self._keys) > 0  # each is compared, always
        if not accepted or _NAME.fullmatch(name.strip()) is None:
            return None
        return self._signer.dumps(name.strip())

    def person(self, cookie: str | None) -> str | None:
        """Who is there; "" where nobody need say, None where nobody has signed in."""
        if self.is_open:
            return ""
        try:
            name = self._signer.loads(cookie or "", max_age=DAYS * 86_400)
        except BadSignature:
            return None
        return name if isinstance(name, str) else None
