"""Tokens of another issuer (`DAGY_JWT_*`): JWTs that its published keys (JWKS) prove.

The keys are kept; they are asked for anew when they are old, and when a token names one that is not known, but not more
often than every ASK_SECONDS. While the issuer does not answer, the kept ones go on.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dagy_console.core.errors import Unavailable

log = structlog.get_logger(__name__)
TIMEOUT_SECONDS = 3
ASK_SECONDS = 10
OLD_SECONDS = 300
LEEWAY_SECONDS = 30
MOST_BYTES = 1_000_000
# Key type -> what it may sign with. None of them can be verified with a secret that signs, too.
_FAMILIES = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
ALGORITHMS = tuple(name for names in _FAMILIES.values() for name in names)
_decoder = jwt.PyJWT(options={"enforce_minimum_key_length": True})


def claims(token: str) -> Mapping[str, Any] | None:
    """What the token says, `email` among it; None where it proves nothing, or tokens of others are not taken here.

    Proven are its signature, `iss`, `aud`, `exp` (required) and `nbf`, and that the address is not an unverified one.
    Raises Unavailable where the issuer's keys were never read, or the token's key cannot be asked for now.
    """
    header = _header(token)
    if not settings.JWT_JWKS_URL or header is None:
        return None
    key = _keys_at(settings.JWT_JWKS_URL).find(header["alg"], header.get("kid"))
    told = _proven(token, key) if key else None
    if told is None or told.get("email_verified", True) not in (True, "true"):
        return None
    return told if isinstance(told.get("email"), str) and told["email"] else None


def checked_settings(url: str, issuer: str, audience: str, algorithms: list[str]) -> None:
    """For settings. Raises ImproperlyConfigured where a token could be forged, or none could ever be right."""
    unfit = sorted(set(algorithms) - set(ALGORITHMS))
    if unfit or not algorithms:
        raise ImproperlyConfigured(
            f"DAGY_JWT_ALGORITHMS: {', '.join(unfit) or 'none'} can't be taken: use some of {', '.join(ALGORITHMS)}."
        )
    if not url:
        return
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or not (parts.scheme == "https" or is_near):
        raise ImproperlyConfigured(f"DAGY_JWT_JWKS_URL={url!r} must begin with https://, or http:// to this machine.")
    if not issuer or not audience:
        raise ImproperlyConfigured("DAGY_JWT_JWKS_URL needs DAGY_JWT_ISSUER and DAGY_JWT_AUDIENCE beside it.")


def _header(token: str) -> Mapping[str, Any] | None:
    """The token's header, where it asks for nothing that we don't do: an invented one asks nobody for keys."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return header if header.get("alg") in settings.JWT_ALGORITHMS and "crit" not in header else None


def _proven(token: str, key: jwt.PyJWK) -> Mapping[str, Any] | None:
    try:
        told: Mapping[str, Any] = _decoder.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            issuer=settings.JWT_ISSUER,
            audience=settings.JWT_AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        log.info("jwt.refused", reason=f"{type(error).__name__}: {error}"[:200])
        return None
    return told


class _Keys:
    """The keys that one address publishes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: list[Mapping[str, Any]] | None = None
        self._read_at = self._asked_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        """The key named `kid` (None: the only one that fits). Raises Unavailable."""
        if time.monotonic() - self._read_at > OLD_SECONDS:
            self._ask(wait=self._keys is None)
        found = self._kept(algorithm, kid)
        if found is None:
            self._ask(wait=True)
            found = self._kept(algorithm, kid)
        if found is None and self._read_at < self._asked_at:
            detail = "The issuer of this token does not answer, and its key is not known here yet."
            raise Unavailable(detail, retry_after=ASK_SECONDS)
        return found

    def _kept(self, algorithm: str, kid: str | None) -> jwt.PyJWK | None:
        fit = [key for key in self._keys or () if _fits(key, algorithm) and kid in (None, key.get("kid"))]
        if len(fit) != 1:
            return None
        try:
            return jwt.PyJWK(dict(fit[0]), algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("jwt.key_unusable", kid=kid, error=str(error)[:200])
            return None

    def _ask(self, *, wait: bool) -> None:
        """Read the keys anew, unless that was tried a moment ago. One asks at a time; `wait` for whoever does."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if time.monotonic() - self._asked_at >= ASK_SECONDS:
                self._read()
        finally:
            self._lock.release()

    def _read(self) -> None:
        try:
            self._keys = _published(self._url)
            self._read_at = self._asked_at = time.monotonic()
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            self._asked_at = time.monotonic()
            log.error("jwt.keys_unavailable", url=self._url, error=f"{type(error).__name__}: {error}"[:200])


@cache
def _keys_at(url: str) -> _Keys:
    return _Keys(url)


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """The key decides what it may be used for, never the token."""
    return (
        algorithm in _FAMILIES.get(str(key.get("kty")), ())
        and key.get("alg") in (None, algorithm)
        and key.get("use") in (None, "sig")
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was set, and from nowhere that it points to."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _published(url: str) -> list[Mapping[str, Any]]:
    """Raises OSError, HTTPException, ValueError."""
    body, until = b"", time.monotonic() + TIMEOUT_SECONDS
    with _opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
        while part := answer.read1(65_536):
            body += part
            if len(body) > MOST_BYTES or time.monotonic() > until:
                raise ValueError(f"more than {MOST_BYTES} bytes, or not all of them in {TIMEOUT_SECONDS} s")
    document = json.loads(body)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError('no {"keys": […]}')
    return [key for key in keys if isinstance(key, dict)]
