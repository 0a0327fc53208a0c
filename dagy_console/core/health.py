"""Health: each part registers a check; the worst one counts.

A worker makes the checks when beat says so, and keeps what it found in Redis. Whoever is asked reads it there: a server
that hangs makes no page slow, and strangers who ask often cost nothing.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import cast

import redis
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from dagy_console.core import storage
from dagy_console.core.breaker import Breaker, Refused
from dagy_console.core.errors import ConsoleError
from dagy_console.core.words import counted


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
_fresh: dict[str, Check] = {}
REPORT_KEY = "dagy:health"
OLD_SECONDS = 30
_ORDER = [Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY]
HEARTBEAT_KEY = "dagy:heartbeat:"
HEARTBEAT_SECONDS = 60
MISSED_KEY, MISSED_SECONDS = "dagy:missed:", 300
_database = Breaker(most=2, no_answer=(OperationalError, InterfaceError))
_UNLIMITED = "the API takes every request: its rate limit is kept in Redis."


def register(name: str, check: Check, *, live: bool = False, fresh: bool = False) -> None:
    """`live` checks only look into Redis, and are made whenever somebody asks. `fresh` ones ask the database, cheaply:
    they are made for /health as well, whatever a worker found before."""
    (_live if live else _checks)[name] = check
    if fresh:
        _fresh[name] = check


def names() -> set[str]:
    """Every component of a report."""
    return {*_checks, *_live, "checks"}


def make_report() -> None:
    """Make all checks and keep what they found. A check that raises is unhealthy, with its reason."""
    with ThreadPoolExecutor(max_workers=len(_checks)) as pool:
        found = list(pool.map(_run_apart, _checks.items()))
    kept = {"at": time.time(), "components": [[part.name, part.status, part.message] for part in found]}
    redis_client().set(REPORT_KEY, json.dumps(kept), ex=86_400)


def report(*, fresh: bool = False) -> Health:
    """Every component's state as it was last found, in about a millisecond; `checks` says how long ago that was. With
    `fresh`, what can be asked of the database quickly is asked now."""
    try:
        kept = redis_client().get(REPORT_KEY)
    except redis.RedisError as error:
        unknown = "unknown: what the checks found is kept in Redis."
        known = [Component("redis", *_redis_down(error)), Component("rate limit", Status.DEGRADED, _UNLIMITED)]
        return _health([*known, Component("checks", Status.DEGRADED, unknown)])
    now = [_run(item) for item in _live.items()]
    now += [_ask_database(item) for item in _fresh.items()] if fresh else []
    if kept is None:
        never = "nothing was checked in the last day: a worker does, when beat says so, every 10 s."
        return _health([*now, Component("checks", Status.DEGRADED, never)])
    found = json.loads(kept)
    age = max(0, int(time.time() - found["at"]))
    asked = {part.name for part in now}
    parts = [Component(name, Status(status), message) for name, status, message in found["components"]]
    parts = [part for part in parts if part.name not in asked]
    if age <= OLD_SECONDS:
        return _health([*parts, *now, Component("checks", Status.HEALTHY, f"made {age} s ago")])
    old = [Component(part.name, part.status, f"{age} s ago: {part.message}") for part in parts]
    late = Component("checks", Status.DEGRADED, f"made {age} s ago, and due every 10 s: look at workers and beat.")
    return _health([*old, *now, late])


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
        return _broken(name, error)


def _broken(name: str, error: Exception) -> Component:
    """Anybody may read the page: hosts, ports and users are for the log."""
    log.error("health.check_failed", component=name, error=f"{type(error).__name__}: {error}".strip())
    return Component(name, Status.UNHEALTHY, f"does not answer ({type(error).__name__}); the log says more")


def _ask_database(item: tuple[str, Check]) -> Component:
    """A database that hangs holds up two who ask, and then for a while nobody."""
    name, check = item
    try:
        with _database.turn():
            return Component(name, *check())
    except (Refused, OperationalError, InterfaceError):
        connection.close()
        return Component(name, Status.DEGRADED, "unknown: the database does not answer.")
    except Exception as error:  # noqa: BLE001 - as below
        return _broken(name, error)


def check_periods() -> tuple[Status, str]:
    """Whether periodic tasks were given up since nobody came to them within their period."""
    missed = missed_lately()
    if not missed:
        return Status.HEALTHY, f"none was missed in the last {MISSED_SECONDS // 60} minutes"
    told = ", ".join(f"{name} {counted(count, 'time')}" for name, count in missed.items())
    return Status.DEGRADED, f"missed in the last {MISSED_SECONDS // 60} minutes: {told}. The workers are too busy."


def note_missed(task: str) -> None:
    """A periodic task was given up: its period was over before a worker came to it."""
    client, key = redis_client(), f"{MISSED_KEY}{int(time.time()) // MISSED_SECONDS}"
    client.hincrby(key, task, 1)
    client.expire(key, 2 * MISSED_SECONDS)
    client.hincrby(f"{MISSED_KEY}all", task, 1)


def missed_lately() -> dict[str, int]:
    """Tasks that were given up in the running minutes and in those before, and how often."""
    now, client = int(time.time()) // MISSED_SECONDS, redis_client()
    found: Counter[str] = Counter()
    for period in (now - 1, now):
        kept = cast(dict[bytes, bytes], client.hgetall(f"{MISSED_KEY}{period}"))
        found.update({name.decode(): int(count) for name, count in kept.items()})
    return dict(found.most_common(3))


def missed_ever() -> dict[str, float]:
    """How often each periodic task was given up, for Prometheus."""
    kept = cast(dict[bytes, bytes], redis_client().hgetall(f"{MISSED_KEY}all"))
    return {name.decode(): float(count) for name, count in kept.items()}


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
