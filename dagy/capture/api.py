"""The functions of `dagy.capture`. One writer a process: by `configure()` or, from the environment, on first use."""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dagy.capture.config import DEFAULT_SPOOL_BYTES, Config, default_function_name
from dagy.capture.context import RequestContext, current
from dagy.capture.keys import is_request_id, new_request_id
from dagy.capture.scrub import Scrubber
from dagy.capture.snapshot import (
    ExceptionSnapshot,
    Frames,
    Snapshot,
    freeze,
    snapshot_exception,
)
from dagy.capture.types import S3Client, Stats, StoredTrace
from dagy.capture.writer import Writer

log = logging.getLogger("dagy.capture")

_MARK = "__dagy_request_id__"
_lock = threading.RLock()
_writer: Writer | None = None


def configure(
    *,
    bucket: str | None = None,
    function_name: str | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    spool_max_bytes: int = DEFAULT_SPOOL_BYTES,
    endpoint_url: str | None = None,
    queue_size: int = 1000,
    threads: int = 4,
    retry_seconds: float = 0.2,
    probe_seconds: float = 30.0,
    exit_timeout: float = 5.0,
    scrub_keys: Iterable[str] = (),
    scrub_patterns: Iterable[re.Pattern[str] | str] = (),
    on_stored: Callable[[StoredTrace], None] | None = None,
    client_factory: Callable[[], S3Client] | None = None,
    enabled: bool | None = None,
) -> None:
    """Say where traces go. May be called again: what was queued before is flushed first (at most a second).

    `bucket`, `function_name`, `spool_dir` default to DAGY_TRACES_BUCKET, DAGY_FUNCTION_NAME, DAGY_SPOOL_DIR; with no
    bucket, exceptions are logged and not stored. What an earlier process left in the spool is sent in the background.
    `queue_size` traces wait in memory at most, for `threads` threads. Each PUT has time-outs (connect 2 s, read 5 s);
    what S3 does not take is tried again after `retry_seconds`, doubling, with jitter, `probe_seconds` at most.
    `exit_timeout` bounds the flush at exit, in seconds. `scrub_keys` are more names of secret fields, `scrub_patterns`
    more patterns of secret values. `on_stored` is called in a writer's thread after each PUT. `enabled=False` captures
    nothing. Raises ValueError for sizes below 1 and re.error for a bad pattern.
    """
    global _writer
    if min(queue_size, threads, spool_max_bytes) < 1:
        raise ValueError("queue_size, threads and spool_max_bytes must be at least 1")
    writer = Writer(
        Config(
            bucket=bucket or os.environ.get("DAGY_TRACES_BUCKET") or None,
            function_name=function_name or default_function_name(),
            spool_dir=spool_dir or os.environ.get("DAGY_SPOOL_DIR") or None,
            spool_max_bytes=spool_max_bytes,
            endpoint_url=endpoint_url,
            queue_size=queue_size,
            threads=threads,
            retry_seconds=retry_seconds,
            probe_seconds=probe_seconds,
            exit_timeout=exit_timeout,
            scrubber=Scrubber(keys=scrub_keys, patterns=scrub_patterns),
            on_stored=on_stored,
            client_factory=client_factory,
            enabled=enabled is not False,
        )
    )
    with _lock:
        before, _writer = _writer, writer
    if before is not None:
        before.shutdown(1.0)
    if writer.config.enabled:
        writer.open_journal()


def capture_exception(
    exc: BaseException | None = None,
    *,
    org_id: Any = None,
    request_id: str | None = None,
    http_method: str | None = None,
    http_path: str | None = None,
    event: Mapping[str, Any] | None = None,
    run_id: Any = None,
    task_id: Any = None,
) -> str | None:
    """Store `exc`, or the exception that is being handled. Answers the trace's request id, None where there is no
    exception or capture is off. Never raises and never waits.

    What is not given is taken from the request that an adapter has seen, where there is one. The same exception
    captured twice for the same request id is stored once.
    """
    try:
        error = exc if exc is not None else sys.exc_info()[1]
        if error is None or not is_enabled():
            return None
        context = (current.get() or RequestContext("")).completed()
        given = {
            "request_id": request_id,
            "http_method": http_method,
            "http_path": http_path,
            "org_id": org_id,
            "run_id": run_id,
            "task_id": task_id,
        }
        context = replace(
            context,
            **{name: value for name, value in given.items() if value is not None},
        )
        return _capture(error, context, event)
    except Exception as problem:
        return _could_not(problem, request_id)


def capture_in_request(error: BaseException, context: RequestContext) -> str | None:
    """What the adapters call: `error` left the application while it served the request of `context`. Never raises."""
    try:
        return _capture(error, context.completed(), None) if is_enabled() else None
    except Exception as problem:
        return _could_not(problem, context.request_id)


def capture_stacks(
    error: BaseException,
    frames: Frames,
    threads: dict[str, Frames],
    context: RequestContext,
) -> str | None:
    """Store where all threads stand, as an exception raised at the end of `frames` (which was not raised there)."""
    try:
        writer = _get_writer()
        request_id = _safe_request_id(writer, context.request_id)
        text = str(error)
        exception = ExceptionSnapshot(
            kind=type(error),
            text=text,
            text_length=len(text),
            notes=[],
            frames=frames,
            syntax=None,
        )
        _enqueue(writer, exception, context, request_id, None, threads)
    except Exception as problem:
        return _could_not(problem, context.request_id)
    return request_id


def prepare() -> None:
    """Load what the first PUT needs (boto3 takes its half second), so that it can be quick later. Never raises."""
    try:
        _get_writer().prepare()
    except Exception as problem:
        log.warning("S3 could not be prepared (%s)", type(problem).__name__)


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything captured so far is in S3 or in the spool; False where `timeout` seconds were not enough."""
    writer = _writer
    return True if writer is None else writer.flush(timeout)


def stats() -> Stats:
    """What became of this process's traces."""
    writer = _writer
    return Stats(0, 0, 0, 0, 0, None) if writer is None else writer.stats()


def shutdown() -> None:
    """Flush (at most `exit_timeout` seconds), spool the rest, end the threads. Called at exit by itself."""
    global _writer
    with _lock:
        writer, _writer = _writer, None
    if writer is not None:
        writer.shutdown(writer.config.exit_timeout)


def is_enabled() -> bool:
    """Whether exceptions are captured at all."""
    return _get_writer().config.enabled


def _get_writer() -> Writer:
    writer = _writer
    if writer is not None:
        return writer
    with _lock:
        if _writer is None:
            configure()
        if _writer is None:
            raise RuntimeError("capture could not be configured")
        return _writer


def _capture(error: BaseException, context: RequestContext, event: Mapping[str, Any] | None) -> str:
    writer = _get_writer()
    request_id = _safe_request_id(writer, context.request_id)
    if _mark_of(error) == request_id:
        return request_id
    _enqueue(writer, snapshot_exception(error), context, request_id, event)
    # Classes with __slots__ and exceptions that refuse attributes are stored twice at worst.
    with suppress(Exception):
        setattr(error, _MARK, request_id)
    return request_id


def _mark_of(error: BaseException) -> object:
    try:
        return getattr(error, _MARK, None)
    except Exception:
        return None


def _enqueue(
    writer: Writer,
    exception: ExceptionSnapshot,
    context: RequestContext,
    request_id: str,
    event: Mapping[str, Any] | None,
    threads: dict[str, Frames] | None = None,
) -> None:
    writer.put(
        Snapshot(
            timestamp=datetime.now(UTC),
            request_id=request_id,
            exception=exception,
            function_name=writer.config.function_name,
            org_id=freeze(context.org_id),
            http_method=context.http_method,
            http_path=context.http_path,
            event=_event(context, event),
            threads=threads or {},
        )
    )


def _event(context: RequestContext, event: Mapping[str, Any] | None) -> dict[str, Any]:
    """The request's part of the trace, as a copy of plain values."""
    merged: dict[str, Any] = {}
    for part in (_request_part(context), event):
        frozen = freeze(part)
        if isinstance(frozen, dict):
            merged.update(frozen)
        elif frozen is not None:
            merged["event"] = frozen
    if context.run_id is not None:
        merged["run_id"] = freeze(context.run_id)
    if context.task_id is not None:
        merged["task_id"] = freeze(context.task_id)
    if context.request_id and not is_request_id(context.request_id):
        merged["request_id_refused"] = freeze(context.request_id)
    return merged


def _request_part(context: RequestContext) -> dict[str, Any] | None:
    try:
        return context.event() if context.event else None
    except Exception as problem:
        return {"error": f"the request could not be read: {type(problem).__name__}"}


def _safe_request_id(writer: Writer, given: str | None) -> str:
    """Somebody may send a token as the request id, which would end in keys and metadata."""
    if given and is_request_id(given) and not writer.config.scrubber.has_token(given):
        return given
    return new_request_id()


def _could_not(problem: Exception, request_id: str | None) -> str | None:
    try:
        log.warning("an exception could not be captured (%s)", type(problem).__name__)
    except Exception:
        return None
    return request_id


def _renew_lock_after_fork() -> None:
    global _lock
    _lock = threading.RLock()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_after_fork)
