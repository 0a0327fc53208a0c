"""Reading settings from the environment, with one clear message for all that is wrong."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def required(name: str, why: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: {why}. See .env.example, or start with `make run`.")
    return value


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name}={value!r} is neither true nor false: write 1 or 0.")
    return value in _TRUE


def whole(name: str, default: int, *, least: int, most: int) -> int:
    value = text(name)
    if not value:
        return default
    if not value.isdecimal() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name}={value!r} must be a whole number from {least} to {most}.")
    return int(value)


def choice(name: str, default: str, *others: str) -> str:
    value = text(name, default) or default
    if value not in (default, *others):
        raise ImproperlyConfigured(f"{name}={value!r} must be one of {', '.join((default, *others))}.")
    return value


def names(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def mail(name: str) -> dict[str, Any] | None:
    """What Django's mail backends take, of an smtp://, smtps:// or file:// URL; None where there is none."""
    url = text(name)
    if not url:
        return None
    wrong = ImproperlyConfigured(
        f"{name} must look like smtp://user:password@host:587?tls=1, smtps://user:password@host or file:///directory."
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme == "file" and parts.path.strip("/") and not parts.netloc:
        return {"backend": "django.core.mail.backends.filebased.EmailBackend", "file_path": unquote(parts.path)}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise wrong
    secure = parts.scheme == "smtps"
    if parts.query not in {"", "tls=1", "tls=0"} or (secure and parts.query == "tls=1"):
        raise ImproperlyConfigured(f"{name} knows ?tls=1 (STARTTLS) for smtp:// alone, and no other option.")
    return {
        "backend": "django.core.mail.backends.smtp.EmailBackend",
        "host": parts.hostname,
        "port": port or (465 if secure else 25),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_ssl": secure,
        "use_tls": parts.query == "tls=1",
        "timeout": 10,
    }


def database(url: str) -> dict[str, Any]:
    """Django's connection settings of a `postgresql://user:password@host:port/name?option=…` URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {error}.") from None
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(
            "DATABASE_URL must look like postgresql://user:password@host:5432/name: only PostgreSQL will do."
        )
    options = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or unquote(options.pop("host", "")),
        "PORT": str(port or ""),
        "OPTIONS": options,
    }
