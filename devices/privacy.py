"""Face data cannot get in: what names, images and ID numbers look like in a payload.

The schemas are allow-lists, so nothing personal has a place in them; this module tells a payload that carries personal
data, which is kept nowhere, from one that is merely wrong, which goes to the dead letters with its content.
"""

import re

FORBIDDEN_NAMES = frozenset({
    "address", "avatar", "birthday", "certificate_no", "embedding", "face", "face_feature", "face_id", "face_image",
    "face_template", "faceid", "feature", "features", "fingerprint", "full_name", "gender", "id_card", "id_no",
    "id_number", "idcard", "image", "img", "jpeg", "jpg", "license_plate", "mobile", "name", "openid", "passport",
    "person", "person_id", "personid", "phone", "photo", "picture", "plate", "png", "portrait", "resident_id",
    "similarity", "snapshot", "ssn", "surname", "template", "thumbnail", "unionid", "user_id", "userid", "user_name",
    "username", "vector",
})  # fmt: skip
"""Keys that no payload may have, compared in lower case and with `-` read as `_`."""

# Bounded and possessive: an open-ended search takes minutes on 256 KiB of escaped quotes.
_KEY = re.compile(rb'"((?:[^"\\]|\\.){1,32}+)"\s*+:')
# A resident identity number (GB 11643): 17 digits and a digit or X, not inside a longer run of digits.
_ID_NUMBER = re.compile(rb"(?<![0-9.])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
# 64 characters of the base64 alphabet in one run: longer than any id of ours, shorter than any image or template.
_BLOB = re.compile(rb"[A-Za-z0-9+/_-]{65,}={0,2}|data:image/")
_ESCAPE = re.compile(rb"\\u00([0-7][0-9A-Fa-f])")


def is_personal(payload: bytes) -> bool:
    """Whether a payload, well formed or not, carries personal data.

    Args:
        payload: the bytes as received.

    Returns:
        True where a key is one of `FORBIDDEN_NAMES`, or any text holds an 18-character identity number or a blob.
    """
    if b"\\" in payload:  # JSON may write any character as an escape; look at what it says, not at how it is spelt
        payload = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), payload).replace(b"\\/", b"/")
    if _ID_NUMBER.search(payload) or _BLOB.search(payload):
        return True
    return any(_plain(key) in FORBIDDEN_NAMES for key in _KEY.findall(payload))


def is_personal_text(text: str) -> bool:
    """Whether one string, for example an id, is an identity number or holds one."""
    return _ID_NUMBER.search(text.encode()) is not None


def _plain(key: bytes) -> str:
    return key.decode("utf-8", "replace").lower().replace("-", "_")
