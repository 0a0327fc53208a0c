"""The API's rate limit: token buckets in Redis, shared by all processes."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

from dagy_console.core.addresses import client_network
from dagy_console.core.errors import ConsoleError
from dagy_console.core.http import bearer_token, is_api
from dagy_console.core.problems import error_response

log = structlog.get_logger(__name__)
# The bucket's events come as often as there are exceptions, and whoever has not their token is refused for nothing.
_FREE = ("/health", "/metrics", "/docs", "/openapi.json", "/static/", "/admin/exceptions/events")
_TIMEOUT_SECONDS = 0.2

# A credential has a bucket of its own once it has proved good. Until then its caller's network pays: else every
# invented token would be a new bucket, full to the brim.
_TAKE = """
local known = redis.call('HEXISTS', KEYS[1], 'known')
local bucket = known == 1 and KEYS[1] or KEYS[2]
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local kept = redis.call('HMGET', bucket, 'tokens', 'at')
local tokens = burst
if kept[1] then tokens = math.min(burst, kept[1] + math.max(0, now - kept[2]) * rate) end
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', bucket, math.ceil(burst / rate * 1000))
return {allowed and 1 or 0, math.floor(tokens), allowed and 0 or math.ceil((1 - tokens) / rate), known}
"""


class TooManyRequests(ConsoleError):
    status = 429
    title = "Too many requests"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`remaining` requests may come at once; where this one is not allowed, the next may in `wait` seconds.

    `known`: the credential has its own bucket already.
    """

    allowed: bool
    remaining: int
    wait: int
    known: bool


class Limiter:
    """The buckets of one Redis server, which is left alone for `pause` seconds once it did not answer."""

    def __init__(self, url: str, *, pause: float = 5.0) -> None:
        self._pause = pause
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
        )
        self._take = self._redis.register_script(_TAKE)
        self._paused_until = 0.0

    def take(self, *, network: str, credential: str = "") -> Verdict | None:
        """Count one request. None where Redis does not answer: then nobody is limited."""
        keys = [_key("credential", credential), _key("network", network)]
        rate = settings.RATE_LIMIT_PER_MINUTE / 60
        answer = self._ask(lambda: self._take(keys=keys, args=[rate, settings.RATE_LIMIT_BURST]))
        if answer is None:
            return None
        allowed, remaining, wait, known = answer
        return Verdict(bool(allowed), remaining, wait, bool(known))

    def trust(self, credential: str) -> None:
        """Give a credential that proved good a bucket of its own, for as long as it would take to fill it."""
        key = _key("credential", credential)
        seconds = math.ceil(settings.RATE_LIMIT_BURST / settings.RATE_LIMIT_PER_MINUTE * 60)
        pipeline = self._redis.pipeline()
        pipeline.hset(key, "known", "1")
        pipeline.expire(key, seconds)
        self._ask(pipeline.execute)

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer of Redis. None where it gives none, and then at once: not every request waits for its time-out."""
        now = time.monotonic()
        if self._paused_until and now < self._paused_until:
            return None
        if self._paused_until:
            # Of all that find the pause over, one asks; the others go on as if it were not.
            self._paused_until = now + self._pause
        try:
            answer = question()
        except redis.RedisError as error:
            self._paused_until = time.monotonic() + self._pause
            log.error("ratelimit.redis_unavailable", error=str(error))
            return None
        self._paused_until = 0.0
        return answer


@cache
def limiter_at(url: str) -> Limiter:
    return Limiter(url)


class RateLimitMiddleware:
    """Counts the API's requests before anything of them asks the database: refused ones cost next to nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.RATE_LIMIT_PER_MINUTE or not _is_limited(request):
            return self.get_response(request)
        limiter = limiter_at(settings.REDIS_URL)
        credential = _credential(request)
        verdict = limiter.take(network=client_network(request), credential=credential)
        if verdict is None:
            return self.get_response(request)
        if not verdict.allowed:
            detail = f"More than {settings.RATE_LIMIT_PER_MINUTE} requests a minute. Try again in {verdict.wait} s."
            response = error_response(request, TooManyRequests(detail, retry_after=verdict.wait))
        else:
            response = self.get_response(request)
            if credential and not verdict.known and getattr(request, "actor", None):
                limiter.trust(credential)
        response["X-RateLimit-Limit"] = str(settings.RATE_LIMIT_PER_MINUTE)
        response["X-RateLimit-Remaining"] = str(verdict.remaining)
        return response


def _is_limited(request: HttpRequest) -> bool:
    """What links in messages open is limited, too: strangers may ask, and no sign-in slows them down."""
    return request.path.startswith("/alerts/") or (is_api(request) and not request.path.startswith(_FREE))


def _credential(request: HttpRequest) -> str:
    """The digest of the API key or token that came with the request; "" where there is none."""
    token = bearer_token(request.headers.get("Authorization", ""))
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _key(kind: str, name: str) -> str:
    return f"dagy:rate:{kind}:{name}"
