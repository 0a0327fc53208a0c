"""Secrets at rest: text that the database keeps and only this installation can read."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"dagy console: secrets at rest"


class NotReadable(ValueError):
    """The text was encrypted with another DAGY_SECRET_KEY, or was changed."""


def encrypt(text: str) -> str:
    """The text as a Fernet token (AES-128-CBC with HMAC-SHA256); equal texts give different tokens."""
    return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()


def decrypt(text: str) -> str:
    """What `encrypt()` was given. Raises NotReadable."""
    try:
        return _fernet(settings.SECRET_KEY).decrypt(text.encode()).decode()
    except InvalidToken:
        raise NotReadable("this was encrypted with another DAGY_SECRET_KEY, or was changed") from None


@lru_cache(maxsize=2)
def _fernet(secret: str) -> Fernet:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(key))
