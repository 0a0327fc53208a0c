"""Servers that the environment names: used in place of our own, and checked before anything else starts."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg
import redis

from embedded.errors import EmbeddedError


def require_external(environ: Mapping[str, str]) -> None:
    """Raise EmbeddedError where DATABASE_URL or REDIS_URL is set and that server does not answer."""
    if url := environ.get("DATABASE_URL"):
        # The role of DATABASE_URL may yet have to be made: by the owner, when it migrates.
        _require_postgres(environ.get("DATABASE_OWNER_URL") or url)
    if url := environ.get("REDIS_URL"):
        _require_redis(url)


def _require_postgres(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        raise EmbeddedError(
            f"The database of DATABASE_URL ({_place(url)}) cannot be used: {_one_line(error)}. "
            "Correct the variable, or unset it to have an embedded PostgreSQL."
        ) from None


def _require_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise EmbeddedError(
            f"The server of REDIS_URL ({_place(url)}) cannot be used: {_one_line(error)}. "
            "Correct the variable, or unset it to have an embedded one."
        ) from None


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or "no host"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
