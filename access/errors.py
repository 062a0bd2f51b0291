"""What can go wrong at the door; see `devices.errors` for the tree."""

from devices.errors import CourtyardError, NotFoundError, QueryError


class AccessError(CourtyardError):
    """The caller did not show a key that is accepted."""

    code = "key_missing"


class ForbiddenError(CourtyardError):
    """The caller is known, and may not do this."""

    code = "scope"


class ThrottledError(CourtyardError):
    """The caller asks too often.

    Attributes:
        retry_after_s: after how many seconds it may ask again.
    """

    code = "rate"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        """Say for how long."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnknownKeyError(NotFoundError):
    """There is no such key."""

    code = "unknown_key"


class UnknownPersonError(NotFoundError):
    """There is no such person."""

    code = "unknown_person"


class GrantError(QueryError):
    """What is asked for cannot be given."""

    code = "grant"


class IdentityError(CourtyardError):
    """The identity provider is away, or says something that cannot be believed."""

    code = "identity"


class AuthorityError(CourtyardError):
    """The installation's certificate authority cannot be read or written."""

    code = "authority"
