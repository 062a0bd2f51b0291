"""Who asks, and what they may: scopes and compounds. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from access.errors import ForbiddenError, GrantError


class Scope(StrEnum):
    """What may be done. None contains another: a key that only acknowledges reads nothing."""

    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    MANAGE = "manage"
    ADMIN = "admin"


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What somebody may do, and where.

    Attributes:
        scopes: what.
        compounds: ids of the compounds that they may see; None where they may see all.
    """

    scopes: frozenset[Scope] = EVERYTHING
    compounds: frozenset[str] | None = None

    @classmethod
    def of(cls, scopes: Iterable[str], compounds: Iterable[str] | None) -> Self:
        """Read what somebody wrote.

        Args:
            scopes: names of scopes.
            compounds: ids of compounds; None for all.

        Raises:
            GrantError: there is no such scope, or none at all.
        """
        named = [each.strip() for each in scopes if each.strip()]
        unknown = [each for each in named if each not in set(Scope)]
        if unknown or not named:
            said = f"there is no scope {unknown[0]!r}" if unknown else "no scope is given"
            raise GrantError(f"{said}; the scopes are {', '.join(Scope)}")
        chosen = None if compounds is None else frozenset(compounds)
        if chosen is not None and not chosen:
            raise GrantError("no compound is given; leave compounds out for all of them")
        return cls(scopes=frozenset(map(Scope, named)), compounds=chosen)

    def covers(self, other: "Grant") -> bool:
        """Whether who has this may give the other away."""
        if self.compounds is not None and (other.compounds is None or not other.compounds <= self.compounds):
            return False
        return other.scopes <= self.scopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        id: stable, for the log and for counting: `key:4f1c…`, `person:wang`.
        name: what people call them.
        grant: what they may.
    """

    id: str
    name: str
    grant: Grant = Grant()

    def require(self, scope: Scope) -> None:
        """Check that they may do something; raises `ForbiddenError`."""
        if scope not in self.grant.scopes:
            has = ", ".join(sorted(self.grant.scopes))
            raise ForbiddenError(f"this needs the scope `{scope}`; what you show has {has}")

    def require_everywhere(self) -> None:
        """Check that they may see all compounds; raises `ForbiddenError`."""
        if self.grant.compounds is not None:
            raise ForbiddenError(
                "this is about the whole installation; what you show is for some compounds", code="whole_installation"
            )


NOBODY = Caller(id="nobody", name="", grant=Grant(scopes=frozenset()))
"""Who tried to come in, and was not let in."""

ANYBODY = Caller(id="open", name="")
"""Who asks where nobody need say who they are: a demo on loopback."""
