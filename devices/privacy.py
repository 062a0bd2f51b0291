"""Face data cannot get in: what names, images, templates and numbers of persons look like in a payload.

The schemas are allow-lists, so nothing personal has a place in them; this module tells a payload that carries personal
data, which is kept nowhere, from one that is merely wrong, which goes to the dead letters with its content. Of what is
refused anyway it rather calls too much personal than too little; of what a schema accepts, only what is certain.
"""

import codecs
import re
from datetime import date

FORBIDDEN_NAMES = frozenset({
    "address", "avatar", "birthday", "certificate_no", "chepai", "chepaihao", "embedding", "face", "face_feature",
    "face_id", "face_image", "face_template", "face_token", "faceid", "feature", "feature_vector", "features",
    "fingerprint", "full_name", "gender", "id_card", "id_no", "id_number", "idcard", "image", "img", "jpeg", "jpg",
    "license_plate", "mobile", "name", "openid", "passport", "person", "person_id", "personid", "phone", "photo",
    "picture", "plate", "png", "portrait", "renlian", "resident_id", "shenfenzheng", "shoujihao", "similarity",
    "snapshot", "ssn", "surname", "tel", "telephone", "template", "thumbnail", "unionid", "user_id", "user_name",
    "userid", "username", "vector", "xingming",
})  # fmt: skip
"""Keys that no payload may have, compared in lower case and with `-` read as `_`."""

# Bounded and possessive: an open-ended search takes minutes on 256 KiB of escaped quotes.
_KEY = re.compile(rb'"((?:[^"\\]|\\.){1,32}+)"\s*+:')
# A resident identity number (GB 11643): 17 digits and a digit or X, not inside a longer run of digits.
_ID_NUMBER = re.compile(rb"(?<![0-9.])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
"""The check digit by the weighted sum of the others modulo 11 (GB 11643-1999, ISO 7064 MOD 11-2)."""
# A telephone number of the mainland: mobile (1[3-9], eleven digits, in groups or not), or a landline with its area.
_PHONE = re.compile(
    rb"(?<![0-9.])(?:(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}|0[1-9][0-9]{1,2}[ -][0-9]{7,8})(?![0-9.])"
)
# A blob: 64 characters of the base64 alphabet in one run, which is longer than any id of ours; or fewer of both cases
# with a digit, which no id has; or what begins as an image does, written as text or as it is.
_BLOB = re.compile(
    rb"[A-Za-z0-9+/_-]{65,}={0,2}|data:image/"
    rb"|(?=[A-Za-z0-9+/]{0,27}[a-z])(?=[A-Za-z0-9+/]{0,27}[A-Z])(?=[A-Za-z0-9+/]{0,27}[0-9])[A-Za-z0-9+/]{28,}"
    rb"|\xff\xd8\xff|\x89PNG|GIF8[79]a|RIFF....WEBP|\xc3\xbf\xc3\x98\xc3\xbf",
    re.DOTALL,
)
# A vector: eight numbers in a row, as face templates are. No field of ours is a list.
_VECTOR = re.compile(rb"(?:-?[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+(?:[eE][-+]?[0-9]{1,3}+)?+\s{0,4}+[,;]\s{0,4}+){7}-?[0-9]")
# Chinese, or letters and digits of full width: no field of ours has any; names, addresses and number plates do.
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})")


def is_personal(payload: bytes) -> bool:
    """Whether a payload that is refused, well formed or not, may carry personal data.

    Args:
        payload: the bytes as received.

    Returns:
        True where a key is one of `FORBIDDEN_NAMES`, or any text holds an 18-character identity number, a telephone
        number, an image or another blob, eight numbers in a row, or Chinese (names, number plates).
    """
    if b"\\" in payload:  # JSON may write any character as an escape; look at what it says, not at how it is spelt
        payload = _ESCAPE.sub(_unescaped, payload).replace(b"\\/", b"/")
    if any(each.search(payload) for each in (_ID_NUMBER, _PHONE, _BLOB, _VECTOR)):
        return True
    if any(_plain(key) in FORBIDDEN_NAMES for key in _KEY.findall(payload)):
        return True
    return not payload.isascii() and _CHINESE.search(payload.decode("utf-8", "replace")) is not None


def is_text(payload: bytes) -> bool:
    """Whether a payload, or the beginning of one, is UTF-8: what is not may be an image, and is kept nowhere."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(payload)
    except UnicodeDecodeError:
        return False
    return True


def is_personal_text(text: str) -> bool:
    """Whether one string of a payload that a schema accepts, for example an id, is certainly a person's number."""
    content = text.encode("utf-8", "replace")
    return _PHONE.search(content) is not None or any(map(_is_id_number, _ID_NUMBER.findall(content)))


def is_personal_topic(topic: str) -> bool:
    """Whether a topic holds what may be personal."""
    return any(is_personal(level.encode("utf-8", "replace")) for level in topic.split("/"))


def _is_id_number(found: bytes) -> bool:
    """Whether the check digit and the date of birth are right."""
    text = found.decode().upper()
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text, strict=False))
    if _ID_CHECKS[total % 11] != text[-1]:
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return True


def _unescaped(found: re.Match[bytes]) -> bytes:
    return chr(int(found[1], 16)).encode("utf-8", "surrogatepass")


def _plain(key: bytes) -> str:
    return key.decode("utf-8", "replace").lower().replace("-", "_")
