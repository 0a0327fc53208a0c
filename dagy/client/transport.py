"""Requests over HTTP: with time-outs, tried again where that is safe, and never sent to another host."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from dagy.client.errors import ApiError, ConnectionFailed, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 60.0
_FIRST_WAIT = 0.5
_SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise ApiError(f"The server's answer is no JSON (it began {self.body[:60]!r}): is this the API?") from None


class Transport:
    """Keeps one connection a thread. `timeout` is in seconds, for connecting and for each answer to begin.

    A request is tried up to `retries` times more after a failed connection, 429, 502, 503 and 504, with growing pauses,
    or as long as `Retry-After` says (60 s at most). A POST is safe to repeat since it carries an `Idempotency-Key`.
    """

    def __init__(self, api_url: str, token: str | None, *, timeout: float, retries: int) -> None:
        parts = urlsplit(api_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(f"The server's URL must look like https://dagy.example.com, not {api_url[:100]!r}.")
        self.api_url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self.token = token
        self._parts = parts
        self._timeout = timeout
        self._retries = retries
        self._local = threading.local()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        repeatable: bool = True,
    ) -> Answer:
        """Raises ApiError and its kinds. `body` is sent as JSON, `content` as it is."""
        target = self._target(path, query)
        data = content if content is not None else None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "User-Agent": _user_agent()}
        if data is not None:
            headers["Content-Type"] = content_type
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if method == "POST" and repeatable:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        may_repeat = method in _SAFE or (method == "POST" and repeatable)
        return self._tried(lambda: self._once(method, target, data, headers), self._retries if may_repeat else 0)

    def _tried(self, once: Callable[[], Answer], retries: int) -> Answer:
        for attempt in range(retries + 1):
            try:
                return once()
            except ApiError as error:
                again = error.status in _AGAIN or isinstance(error, ConnectionFailed)
                if not again or attempt == retries:
                    raise
                time.sleep(_pause(attempt, error.retry_after))
        raise AssertionError

    def _once(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            answer = self._exchange(method, target, data, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailed(
                f"{self.api_url} did not answer ({_reason(error)}): is it running, and is the URL right?"
            ) from error
        if 200 <= answer.status < 300:
            return answer
        problem = error_of(answer.status, answer.headers, answer.body, self.api_url)
        problem.retry_after = _retry_after(answer.headers.get("retry-after"))
        raise problem

    def _exchange(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        connection = self._connection()
        connection.request(method, target, data, headers)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            self.close()
            raise ApiError(f"The answer is larger than {MAX_ANSWER_BYTES // 1024 // 1024} MB: ask for less at once.")
        if response.will_close:
            self.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._new_connection()
            self._local.connection = connection
            self._local.used = 0.0
        # A server ends what has been idle: rather a new connection than a request that gets no answer.
        if connection.sock is not None and time.monotonic() - self._local.used > 4:
            connection.close()
        self._local.used = time.monotonic()
        return connection

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def close(self) -> None:
        """This thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _target(self, path: str, query: dict[str, Any] | None) -> str:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        return f"{self._parts.path.rstrip('/')}{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")

    def __repr__(self) -> str:
        return f"Transport({self.api_url!r})"


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(asked, _LONGEST_WAIT)
    return _FIRST_WAIT * 2.0**attempt * (0.5 + random.random())  # noqa: S311


def _retry_after(text: str | None) -> float | None:
    """Seconds, from seconds or from an HTTP date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        seconds: float = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None
    return max(0.0, seconds)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _user_agent() -> str:
    from dagy import __version__

    return f"dagy/{__version__}"
