"""Tokens: a prefix that says what they are, and 43 random characters; only their SHA-256 is kept.

API keys end in a checksum besides: what was cut off, mistyped or invented costs no query.
"""

import hashlib
import re
import secrets
import string
import zlib

ACCESS_TOKEN = "dagy_at_"
IMPERSONATION = "dagy_im_"
# Of the links in mails; it opens no door at the API.
INVITATION = "dagy_in_"
API_KEY = "dagy_sk_"
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 40, 6
_API_KEY = re.compile(rf"{API_KEY}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def new_token(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def new_api_key() -> str:
    """`dagy_sk_`, 40 random characters of base62 (238 bits), and 6 of checksum."""
    body = API_KEY + "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_api_key(token: str) -> bool:
    """Whether it has the form of one. Who invents a key with a right checksum costs a query, and no more."""
    return bool(_API_KEY.fullmatch(token)) and token[-_CHECKSUM:] == _checksum(token[:-_CHECKSUM])


def _checksum(body: str) -> str:
    """CRC-32 in base62, with zeros in front."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return digits


def digest(token: str) -> str:
    """256 random bits need no slow hash: nobody can guess them from their SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()
