"""Requests that another site makes a browser send: told by what browsers say of where they come from.

A browser tells it by `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), an old one by `Origin`; programs
that are no browsers send neither, and carry no cookie that somebody else could use.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

_OWN = frozenset({"same-origin", "none"})


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a request was caused by another site.

    Args:
        headers: its headers; names in any case.
    """
    said = headers.get("sec-fetch-site")
    if said is not None:
        return said not in _OWN
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # it is no address
        return True
