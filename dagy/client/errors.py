"""What the server refused, from its problem details (RFC 9457), and what did not reach it."""

from __future__ import annotations

import json
from typing import Any

from dagy.errors import DagyError


class ApiError(DagyError):
    """The server answered with an error.

    `errors` is a list of `{"field", "message"}`, filled where the input was refused (422). `request_id` is what the
    server's own logs, audit entries and traces know the request by.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        title: str = "",
        detail: str = "",
        errors: list[dict[str, str]] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors or []
        self.request_id = request_id
        self.retry_after = retry_after


class NotAuthenticated(ApiError):
    """401: no valid key or token."""


class Forbidden(ApiError):
    """403: not allowed."""


class NotFound(ApiError):
    """404: there is none, or none that may be seen."""


class Conflict(ApiError):
    """409: the state of things forbids it."""


class Invalid(ApiError):
    """422: input that was refused; see `errors`."""


class RateLimited(ApiError):
    """429: too many requests; `retry_after` seconds."""


class Unavailable(ApiError):
    """502, 503, 504: something that the server needs is down."""


class ConnectionFailed(ApiError):
    """There was no answer: no connection, no answer in time, or one that broke off."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, headers: dict[str, str], body: bytes, url: str) -> ApiError:
    """The error that an answer is; one that is no problem details (a proxy's page) is told as that."""
    problem = _problem(headers, body)
    title = str(problem.get("title") or f"HTTP {status}")
    if 300 <= status < 400:
        detail = f"{url} redirects to {headers.get('location', 'nowhere')[:200]}: give that address as the server's URL"
    elif problem:
        detail = str(problem.get("detail") or "")
    else:
        detail = (
            f"{url} answered {status} with {headers.get('content-type', 'no type')}, not as Dagy does: is it the API?"
        )
    errors = [item for item in problem.get("errors") or [] if isinstance(item, dict)]
    told = "; ".join(f"{item.get('field')}: {item.get('message')}" for item in errors)
    request_id = headers.get("x-request-id")
    message = f"{title} ({status}): {'. '.join(filter(None, (detail.rstrip('.'), told)))}."
    return _BY_STATUS.get(status, ApiError)(
        message if request_id is None else f"{message} Request id: {request_id}",
        status=status,
        title=title,
        detail=detail,
        errors=errors,
        request_id=request_id,
    )


def _problem(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    if "json" not in headers.get("content-type", ""):
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
