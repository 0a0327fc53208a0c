"""The request that this thread or asyncio task serves, so that `capture_exception()` inside it needs no arguments."""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from dagy.capture.keys import is_request_id, new_request_id

log = logging.getLogger("dagy.capture")

_HOOK_FIELDS = frozenset({"org_id", "request_id", "http_method", "http_path", "run_id", "task_id"})


@dataclass(slots=True)
class RequestContext:
    """What the adapters know of a request. `event` makes the request's part of the trace, and `hook` asks the
    application for fields (those of `capture_exception`): both only once there is an exception."""

    request_id: str
    http_method: str | None = None
    http_path: str | None = None
    org_id: Any = None
    run_id: Any = None
    task_id: Any = None
    event: Callable[[], dict[str, Any]] | None = None
    hook: Callable[[], Mapping[str, Any] | None] | None = None

    def completed(self) -> RequestContext:
        """With what the application's hook says. A hook that fails must not hide the exception it was asked for."""
        if self.hook is None:
            return self
        try:
            said = dict(self.hook() or {})
        except Exception as error:
            log.warning("the capture context hook failed (%s)", type(error).__name__)
            return replace(self, hook=None)
        values = {name: value for name, value in said.items() if name in _HOOK_FIELDS and value is not None}
        return replace(self, hook=None, **values)


current: ContextVar[RequestContext | None] = ContextVar("dagy_capture_request", default=None)


def request_id_for(given: object) -> str:
    """The id of the request that is captured already (adapters may be nested), else `given` where it is well-formed,
    else a new one."""
    outer = current.get()
    if outer is not None:
        return outer.request_id
    return given if isinstance(given, str) and is_request_id(given) else new_request_id()
