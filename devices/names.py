"""Names: what an id may look like, and text in the two languages of the product."""

import re
from typing import NamedTuple

ID_PATTERN = r"^[a-z0-9-]{1,64}$"
_ID = re.compile(r"[a-z0-9-]{1,64}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Text(NamedTuple):
    """A name or title for people, in English and Chinese."""

    en: str
    zh: str


def is_id(text: str) -> bool:
    """Whether `text` may be the id of a compound, a building or a device."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether `text` may name a kind, a field, an event or a statistic."""
    return _NAME.fullmatch(text) is not None
