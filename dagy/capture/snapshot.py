"""What must be taken on the thread that failed, and nothing else.

An exception keeps its frames alive, and through them the request, open cursors and megabytes of locals. Handing it to
another thread would keep all that alive, and let finalizers run there. Formatting it at once costs 0.3 ms and more
(a `stat` per file, source lines, positions). So the failing thread takes a snapshot: per frame the code object, line
and instruction offset (code objects hold no data), per exception its type, text and notes, and of the request a bounded
copy of plain values. That is 10 to 60 µs. Source lines, scrubbing, JSON and S3 are left to the writer's threads.

`str(exception)` has to run here: it may need the language, the transaction or the lock of this thread, and its
arguments may change later. Locals are never captured.
"""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import linecache
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeAlias
from uuid import UUID

MESSAGE_LIMIT = 64 * 1024
NOTES_LIMIT = 50
FRAMES_LIMIT = 2000
EXCEPTIONS_LIMIT = 100
CHILDREN_LIMIT = 16
VALUE_LIMIT = 16 * 1024
EVENT_NODES_LIMIT = 2000
EVENT_CHARACTERS_LIMIT = 256 * 1024
EVENT_DEPTH_LIMIT = 12

Frames: TypeAlias = list[tuple[CodeType, int, int]]
"""Outermost first: code, line number, offset of the instruction."""


class Deferred:
    """A part of the request that is immutable already and is decoded by the writer's thread."""

    __slots__ = ()

    def resolve(self) -> Any:
        """The plain value (dict, list, str, …). May raise: the writer then says so in the trace."""
        raise NotImplementedError


@dataclass(slots=True)
class ExceptionSnapshot:
    """One exception of a chain or group. `text` is None where `str()` failed."""

    kind: type[BaseException]
    text: str | None
    text_length: int
    notes: list[str]
    frames: Frames
    frames_left_out: int = 0
    syntax: dict[str, Any] | None = None
    cause: ExceptionSnapshot | None = None
    context: ExceptionSnapshot | None = None
    children: list[ExceptionSnapshot] | None = None
    children_left_out: int = 0


@dataclass(slots=True)
class Snapshot:
    """One captured exception on its way to the writer."""

    timestamp: datetime
    request_id: str
    exception: ExceptionSnapshot
    function_name: str
    org_id: Any = None
    http_method: str | None = None
    http_path: str | None = None
    event: dict[str, Any] = field(default_factory=dict)
    threads: dict[str, Frames] = field(default_factory=dict)


def snapshot_exception(error: BaseException) -> ExceptionSnapshot:
    """Everything of `error`, its causes, contexts and group members that a traceback shows."""
    root = _snapshot_one(error)
    seen = {id(error)}
    todo: list[tuple[BaseException, ExceptionSnapshot]] = [(error, root)]
    while todo and len(seen) < EXCEPTIONS_LIMIT:
        source, snapshot = todo.pop()
        linked = source.__cause__ or (None if source.__suppress_context__ else source.__context__)
        if linked is not None and id(linked) not in seen:
            seen.add(id(linked))
            taken = _snapshot_one(linked)
            if source.__cause__ is not None:
                snapshot.cause = taken
            else:
                snapshot.context = taken
            todo.append((linked, taken))
        if isinstance(source, BaseExceptionGroup):
            snapshot.children = []
            snapshot.children_left_out = max(0, len(source.exceptions) - CHILDREN_LIMIT)
            for child in source.exceptions[:CHILDREN_LIMIT]:
                taken = _snapshot_one(child)
                snapshot.children.append(taken)
                seen.add(id(child))
                todo.append((child, taken))
    return root


def frames_of_thread(frame: FrameType | None) -> Frames:
    """The stack that a thread stands in now, outermost first."""
    frames: Frames = []
    while frame is not None and len(frames) < FRAMES_LIMIT:
        frames.append((frame.f_code, frame.f_lineno or 0, frame.f_lasti))
        frame = frame.f_back
    frames.reverse()
    return frames


def freeze(value: Any) -> Any:
    """A copy of `value` made of dicts, lists and immutable values, bounded in depth, number and characters.

    Objects of unknown classes become their class's name: their `repr()` may query a database or print a secret.
    """
    return _Freezer().copy(value, 0)


def _snapshot_one(error: BaseException) -> ExceptionSnapshot:
    text = _text(error)
    frames, left_out = _frames(error.__traceback__)
    return ExceptionSnapshot(
        kind=type(error),
        text=None if text is None else str.__getitem__(text, slice(MESSAGE_LIMIT)),
        text_length=0 if text is None else len(text),
        notes=_notes(error),
        frames=frames,
        frames_left_out=left_out,
        syntax=_syntax(error) if isinstance(error, SyntaxError) else None,
    )


def _text(error: BaseException) -> str | None:
    try:
        if isinstance(error, BaseExceptionGroup):
            return str(error.message)
        return str(error)
    except BaseException:  # a __str__ may raise anything; the trace is stored all the same
        return None


def _notes(error: BaseException) -> list[str]:
    try:
        notes = getattr(error, "__notes__", None)
    except Exception:  # a __getattr__ of its own
        return []
    if not isinstance(notes, list | tuple):
        return []
    return [note[:MESSAGE_LIMIT] for note in notes[:NOTES_LIMIT] if isinstance(note, str)]


def _syntax(error: SyntaxError) -> dict[str, Any]:
    names = ("filename", "lineno", "offset", "text", "msg", "end_lineno", "end_offset")
    values = {name: getattr(error, name, None) for name in names}
    return {name: value if isinstance(value, str | int) else None for name, value in values.items()}


def _frames(traceback: TracebackType | None) -> tuple[Frames, int]:
    frames: Frames = []
    known = linecache.cache
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        frames.append((code, traceback.tb_lineno, traceback.tb_lasti))
        # Modules in zip files have their source in their loader, which only their globals know.
        if code.co_filename not in known:
            linecache.lazycache(code.co_filename, frame.f_globals)
        traceback = traceback.tb_next
    left_out = len(frames) - FRAMES_LIMIT
    if left_out <= 0:
        return frames, 0
    half = FRAMES_LIMIT // 2
    return frames[:half] + frames[-half:], left_out


_KEPT = (datetime, date, time, timedelta, Decimal, UUID, PurePath, Enum, Deferred)
_TOO_MUCH = "[left out: the event is too large]"


class _Freezer:
    __slots__ = ("characters", "nodes")

    def __init__(self) -> None:
        self.nodes = EVENT_NODES_LIMIT
        self.characters = EVENT_CHARACTERS_LIMIT

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._string(value)
        if value is None or kind is bool or kind is int or kind is float:
            return value
        self.nodes -= 1
        if self.nodes < 0 or depth > EVENT_DEPTH_LIMIT:
            return _TOO_MUCH
        try:
            return self._object(value, depth)
        except Exception:
            return f"<unreadable {kind.__module__}.{kind.__qualname__}>"

    def _string(self, value: str) -> str:
        self.nodes -= 1
        if self.nodes < 0 or self.characters <= 0:
            return _TOO_MUCH
        room = min(VALUE_LIMIT, self.characters)
        self.characters -= len(value)
        if len(value) <= room:
            return value
        return f"{value[:room]} [cut: {len(value) - room} more characters]"

    def _object(self, value: Any, depth: int) -> Any:
        if isinstance(value, _KEPT):
            return value
        if isinstance(value, str):
            return self._string(str.__getitem__(value, slice(None)))
        if isinstance(value, int):
            return int.__add__(value, 0)
        if isinstance(value, float):
            return float.__add__(value, 0.0)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value[:VALUE_LIMIT])
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | AbstractSet):
            return self._list(value, depth)
        return f"<{type(value).__module__}.{type(value).__qualname__}>"

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, item in value.items():
            if self.nodes < 0:
                copy["…"] = _TOO_MUCH
                break
            copy[_name(key)] = self.copy(item, depth + 1)
        return copy

    def _list(self, value: list[Any] | tuple[Any, ...] | AbstractSet[Any], depth: int) -> list[Any]:
        copy: list[Any] = []
        for item in value:
            if self.nodes < 0:
                copy.append(_TOO_MUCH)
                break
            copy.append(self.copy(item, depth + 1))
        return copy


def _name(key: Any) -> str:
    if isinstance(key, str):
        return str.__getitem__(key, slice(200))
    if isinstance(key, bytes):
        return key[:200].decode("utf-8", "replace")
    if key is None or isinstance(key, int | float | UUID | date | Decimal):
        return str(key)[:200]
    return f"<{type(key).__module__}.{type(key).__qualname__}>"
