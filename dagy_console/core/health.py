"""Health: each part registers a check; the worst one counts."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

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
_ORDER = [Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY]
HEARTBEAT_KEY = "dagy:heartbeat:"
HEARTBEAT_SECONDS = 60


def register(name: str, check: Check) -> None:
    _checks[name] = check


def report() -> Health:
    """Every component's state. A check that raises is unhealthy, with its reason."""
    with ThreadPoolExecutor(max_workers=len(_checks)) as pool:
        components = list(pool.map(_run, _checks.items()))
    worst = max((component.status for component in components), key=_ORDER.index, default=Status.HEALTHY)
    return Health(worst, components)


def _run(item: tuple[str, Check]) -> Component:
    name, check = item
    try:
        return Component(name, *check())
    except Exception as error:  # noqa: BLE001 - a check that breaks is what this page is for
        # Anybody may read this page: hosts, ports and users are for the log.
        log.error("health.check_failed", component=name, error=f"{type(error).__name__}: {error}".strip())
        return Component(name, Status.UNHEALTHY, f"does not answer ({type(error).__name__}); the log says more")
    finally:
        connection.close()


def check_database() -> tuple[Status, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version')")
        return Status.HEALTHY, f"PostgreSQL {cursor.fetchone()[0].split()[0]}"


def redis_client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def check_redis() -> tuple[Status, str]:
    try:
        redis_client().ping()
    except redis.RedisError as error:
        return Status.DEGRADED, f"Redis does not answer ({type(error).__name__}): background work waits."
    return Status.HEALTHY, "answers"


def check_storage() -> tuple[Status, str]:
    if not settings.TRACES_BUCKET:
        return Status.DEGRADED, "DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored."
    try:
        storage.check_bucket(settings.TRACES_BUCKET)
    except ConsoleError as error:
        return Status.DEGRADED, error.detail
    return Status.HEALTHY, f"bucket {settings.TRACES_BUCKET} answers"


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
