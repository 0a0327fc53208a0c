"""A snapshot becomes the trace that is stored: rendered, scrubbed, bounded in size, and always JSON."""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import json
import math
import re
from datetime import UTC
from typing import Any

from dagy.capture import keys
from dagy.capture.bodies import RawBody
from dagy.capture.render import render_stack, render_traceback
from dagy.capture.scrub import Scrubber
from dagy.capture.snapshot import MESSAGE_LIMIT, VALUE_LIMIT, Deferred, Snapshot
from dagy.capture.types import BuiltTrace

TRACEBACK_LIMIT = 1024 * 1024
PATH_LIMIT = 2048
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DEPTH_LIMIT = 60


def build_trace(snapshot: Snapshot, scrubber: Scrubber) -> BuiltTrace:
    """The trace of a snapshot. Never fails: what cannot be rendered is replaced by a sentence that says so.

    Besides the fields of the contract it says `truncated` (field to original length, or true) and `scrubbed` (how many
    values were filtered), where there is something to say.
    """
    return _Builder(snapshot, scrubber).build()


class _Builder:
    def __init__(self, snapshot: Snapshot, scrubber: Scrubber) -> None:
        self.snapshot = snapshot
        self.scrubber = scrubber
        self.filtered = [0]
        self.truncated: dict[str, Any] = {}

    def build(self) -> BuiltTrace:
        snapshot = self.snapshot
        timestamp = snapshot.timestamp.astimezone(UTC)
        org_id = snapshot.org_id if keys.is_org_id(snapshot.org_id) else None
        body: dict[str, Any] = {
            "timestamp": timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request_id": snapshot.request_id,
            "function_name": snapshot.function_name,
            "exception_type": self._type_name(),
            "exception_message": self._message(),
            "traceback": self._traceback(),
            "http_method": self._short(snapshot.http_method, 32),
            "http_path": self._short(snapshot.http_path, PATH_LIMIT),
            "org_id": org_id,
            "event": self._event(refused_org=snapshot.org_id if org_id is None else None),
        }
        if self.truncated:
            body["truncated"] = self.truncated
        if self.filtered[0]:
            body["scrubbed"] = self.filtered[0]
        metadata = {
            "exception-type": body["exception_type"],
            "http-method": body["http_method"] or "",
            "http-path": body["http_path"] or "",
            "request-id": body["request_id"],
            "timestamp": body["timestamp"],
            "org-id": org_id or keys.NO_ORG,
        }
        key = keys.s3_key(org_id=org_id, timestamp=timestamp, request_id=snapshot.request_id)
        return BuiltTrace(key=key, metadata=metadata, body=body, data=_json(body))

    def _scrub(self, text: str) -> str:
        return self.scrubber.text(text, self.filtered)

    def _type_name(self) -> str:
        name = getattr(self.snapshot.exception.kind, "__name__", None)
        return _clean(name)[:500] if isinstance(name, str) else "Exception"

    def _message(self) -> str:
        exception = self.snapshot.exception
        if exception.text is None:
            return "<exception str() failed>"
        text = _clean(self._scrub(exception.text))
        shown = _cut_bytes(text, MESSAGE_LIMIT)
        if exception.text_length > len(exception.text) or len(shown) < len(text):
            self.truncated["exception_message"] = exception.text_length
        return shown

    def _traceback(self) -> str:
        try:
            text = render_traceback(self.snapshot.exception, self._scrub_silently)
            text = _clean(self.scrubber.text(text, self.filtered, code=True))
        except Exception as problem:
            return f"<the traceback could not be rendered: {type(problem).__name__}>"
        return self._cut_middle(text)

    def _scrub_silently(self, text: str) -> str:
        # The message was counted once already.
        return self.scrubber.text(text, [0])

    def _cut_middle(self, text: str) -> str:
        """The end matters most: the raised exception is printed last; the beginning says where it came from."""
        data = text.encode()
        if len(data) <= TRACEBACK_LIMIT:
            return text
        self.truncated["traceback"] = len(data)
        note = f"\n[… {len(data) - TRACEBACK_LIMIT} bytes left out …]\n"
        head = TRACEBACK_LIMIT // 4
        tail = TRACEBACK_LIMIT - head - len(note.encode())
        return data[:head].decode("utf-8", "ignore") + note + data[-tail:].decode("utf-8", "ignore")

    def _short(self, value: Any, limit: int) -> str | None:
        return None if value is None else _clean(self._scrub(str(value)))[:limit]

    def _event(self, *, refused_org: Any) -> dict[str, Any]:
        event = {str(name): self._resolve(name, value) for name, value in self.snapshot.event.items()}
        if refused_org is not None:
            event["org_id_refused"] = str(refused_org)[:200]
        try:
            plain: dict[str, Any] = self.scrubber.value(_plain(event, 0), self.filtered)
        except Exception as problem:
            plain = {"error": f"the request could not be rendered: {type(problem).__name__}"}
        if self.snapshot.threads:
            plain["threads"] = {
                name: self.scrubber.text(render_stack(frames), self.filtered, code=True)
                for name, frames in self.snapshot.threads.items()
            }
        return plain

    def _resolve(self, name: str, value: Any) -> Any:
        if not isinstance(value, Deferred):
            return value
        if isinstance(value, RawBody) and value.cut:
            self.truncated[f"event.{name}"] = True if value.length is None else value.length
        return _resolved(value)


def _plain(value: Any, depth: int) -> Any:
    """JSON's own types only. Numbers that JSON lacks (NaN, infinity) or that readers choke on become text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else _huge(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > _DEPTH_LIMIT:
        return "[left out: nested too deeply]"
    if isinstance(value, dict):
        return {str(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Deferred):
        return _plain(_resolved(value), depth + 1)
    return _text(value)


def _resolved(value: Deferred) -> Any:
    try:
        return value.resolve()
    except Exception as problem:
        return f"<could not be read: {type(problem).__name__}>"


def _huge(value: int) -> str:
    text = hex(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({value.bit_length()} bits)"


def _text(value: Any) -> str:
    try:
        return str(value)[:VALUE_LIMIT]
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


def _cut_bytes(text: str, limit: int) -> str:
    data = text.encode()
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore")


def _json(body: dict[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _clean(text).encode()
