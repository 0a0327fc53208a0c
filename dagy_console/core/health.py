"""Health: each part registers a check; the worst one counts.

A worker makes the checks when beat says so, and keeps what it found in Redis. Whoever is asked reads it there: a server
that hangs makes no page slow, and strangers who ask often cost nothing.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from dagy_console.core import storage
from dagy_console.core.errors import ConsoleError


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class Health:
    status: Status
    components: list[Component]


log = structlog.get_logger(__name__)
Check = Callable[[], tuple[Status, str]]
_checks: dict[str, Check] = {}
_live: dict[str, Check] = {}
REPORT_KEY = "dagy:health"
OLD_SECONDS = 30
_ORDER = [Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY]
HEARTBEAT_KEY = "dagy:heartbeat:"
HEARTBEAT_SECONDS = 60
_UNLIMITED = "the API takes every request: its rate limit is kept in Redis."


def register(name: str, check: Check, *, live: bool = False) -> None:
    """`live` checks only look into Redis, and are made whenever somebody asks."""
    (_live if live else _checks)[name] = check


def names() -> set[str]:
    """Every component of a report."""
    return {*_checks, *_live, "checks"}


def make_report() -> None:
    """Make all checks and keep what they found. A check that raises is unhealthy, with its reason."""
    with ThreadPoolExecutor(max_workers=len(_checks)) as pool:
        found = list(pool.map(_run_apart, _checks.items()))
    kept = {"at": time.time(), "components": [[part.name, part.status, part.message] for part in found]}
    redis_client().set(REPORT_KEY, json.dumps(kept), ex=86_400)


def report() -> Health:
    """Every component's state as it was last found, in about a millisecond; `checks` says how long ago that was."""
    try:
        kept = redis_client().get(REPORT_KEY)
    except redis.RedisError as error:
        unknown = "unknown: what the checks found is kept in Redis."
        known = [Component("redis", *_redis_down(error)), Component("rate limit", Status.DEGRADED, _UNLIMITED)]
        return _health([*known, Component("checks", Status.DEGRADED, unknown)])
    live = [_run(item) for item in _live.items()]
    if kept is None:
        never = "nothing was checked in the last day: a worker does, when beat says so, every 10 s."
        return _health([*live, Component("checks", Status.DEGRADED, never)])
    found = json.loads(kept)
    age = max(0, int(time.time() - found["at"]))
    components = [Component(name, Status(status), message) for name, status, message in found["components"]]
    if age <= OLD_SECONDS:
        return _health([*components, *live, Component("checks", Status.HEALTHY, f"made {age} s ago")])
    old = [Component(part.name, part.status, f"{age} s ago: {part.message}") for part in components]
    late = Component("checks", Status.DEGRADED, f"made {age} s ago, and due every 10 s: look at workers and beat.")
    return _health([*old, *live, late])


def _health(components: list[Component]) -> Health:
    return Health(max((component.status for component in components), key=_ORDER.index), components)


def _run_apart(item: tuple[str, Check]) -> Component:
    """In a thread of its own, whose connection to the database ends with it."""
    try:
        return _run(item)
    finally:
        connection.close()


def _run(item: tuple[str, Check]) -> Component:
    name, check = item
    try:
        return Component(name, *check())
    except Exception as error:  # noqa: BLE001 - a check that breaks is what this page is for
        # Anybody may read this page: hosts, ports and users are for the log.
        log.error("health.check_failed", component=name, error=f"{type(error).__name__}: {error}".strip())
        return Component(name, Status.UNHEALTHY, f"does not answer ({type(error).__name__}); the log says more")


def check_database() -> tuple[Status, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        return Status.HEALTHY, f"PostgreSQL {cursor.fetchone()[0].split()[0]}"


@lru_cache(maxsize=1)
def redis_client() -> "redis.Redis":
    retry = Retry(NoBackoff(), 1)
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5, retry=retry)


def check_redis() -> tuple[Status, str]:
    try:
        redis_client().ping()
    except redis.RedisError as error:
        return _redis_down(error)
    return Status.HEALTHY, "answers"


def _redis_down(error: redis.RedisError) -> tuple[Status, str]:
    return Status.DEGRADED, f"Redis does not answer ({type(error).__name__}): background work waits."


def check_storage() -> tuple[Status, str]:
    if not settings.TRACES_BUCKET:
        return Status.DEGRADED, "DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored."
    try:
        storage.check_bucket(settings.TRACES_BUCKET)
    except ConsoleError as error:
        return Status.DEGRADED, error.detail
    return Status.HEALTHY, f"bucket {settings.TRACES_BUCKET} answers"


def check_rate_limit() -> tuple[Status, str]:
    """Made where Redis has just answered, which is all that the limit needs."""
    if not settings.RATE_LIMIT_PER_MINUTE:
        return Status.HEALTHY, "off: DAGY_RATE_LIMIT_PER_MINUTE is 0"
    return Status.HEALTHY, f"{settings.RATE_LIMIT_PER_MINUTE} requests a minute, {settings.RATE_LIMIT_BURST} at once"


def beat(part: str) -> None:
    """Note that `part` (worker or beat) lives."""
    redis_client().set(HEARTBEAT_KEY + part, str(time.time()), ex=86_400)


def check_heartbeat(part: str) -> tuple[Status, str]:
    try:
        seen = redis_client().get(HEARTBEAT_KEY + part)
    except redis.RedisError:
        return Status.DEGRADED, "unknown: Redis does not answer."
    if seen is None:
        return Status.DEGRADED, f"no {part} has been seen in the last day: start one."
    age = timezone.now().timestamp() - float(seen)
    if age > HEARTBEAT_SECONDS:
        return Status.DEGRADED, f"last seen {int(age)} s ago: background work waits."
    return Status.HEALTHY, f"seen {int(age)} s ago"
