"""Secrets at rest: encrypted with the first key of DAGY_ENCRYPTION_KEYS, read with any of them."""

import base64
from collections.abc import Sequence
from functools import cache

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dagy_console.core.errors import ConsoleError

log = structlog.get_logger(__name__)


class NotDecryptable(ConsoleError):
    """The text was encrypted with none of our keys, or was changed since."""

    status = 500
    title = "A secret can't be read"


def encrypt(text: str) -> str:
    """Fernet's token of the text: another one each time."""
    return _cipher().encrypt(text.encode()).decode("ascii")


def decrypt(text: str) -> str:
    """What `encrypt()` was given. Raises NotDecryptable."""
    try:
        return _cipher().decrypt(text.encode()).decode()
    except InvalidToken:
        log.error("encryption.not_decryptable")
        raise NotDecryptable(
            "It was encrypted with a key that this console does not have. Nothing was changed. "
            "Whoever operates it puts the earlier key back into DAGY_ENCRYPTION_KEYS, behind the new one."
        ) from None


def checked_keys(keys: Sequence[str]) -> list[str]:
    """The keys, for settings. Raises ImproperlyConfigured where one is no Fernet key, without repeating it."""
    for number, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                f"Key {number} of DAGY_ENCRYPTION_KEYS must be 32 bytes in URL-safe base64: "
                "openssl rand -base64 32 | tr +/ -_"
            ) from None
    return list(keys)


def _cipher() -> MultiFernet:
    return _cipher_of(tuple(settings.ENCRYPTION_KEYS), settings.SECRET_KEY)


@cache
def _cipher_of(keys: tuple[str, ...], secret_key: str) -> MultiFernet:
    # The derived key stays the last: who began without keys of their own still reads what was written then.
    return MultiFernet([Fernet(key) for key in (*keys, _derived(secret_key))])


def _derived(secret_key: str) -> str:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"dagy-console encryption at rest")
    return base64.urlsafe_b64encode(derivation.derive(secret_key.encode())).decode("ascii")
