"""A snapshot's traceback as text, word for word as the standard library prints it.

`traceback.TracebackException` knows chains, groups, notes, syntax errors and folded recursion in the way of the running
Python. It wants live exceptions, so stand-ins with the same names and texts are built, and given the frames afterwards.
("Did you mean" hints need the frames' variables and are not there.)
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from traceback import FrameSummary, StackSummary, TracebackException
from types import CodeType
from typing import Any, cast

from dagy.capture.snapshot import FRAMES_LIMIT, ExceptionSnapshot, Frames

Scrub = Callable[[str], str]


def render_traceback(snapshot: ExceptionSnapshot, scrub: Scrub) -> str:
    """The traceback of a snapshot. `scrub` is applied to each message, note and line of broken source."""
    formatted = TracebackException.from_exception(_stand_in(snapshot, scrub), lookup_lines=False)
    todo = [(formatted, snapshot)]
    while todo:
        target, source = todo.pop()
        target.stack = _stack(source.frames, source.frames_left_out)
        for part, origin in (
            (target.__cause__, source.cause),
            (target.__context__, source.context),
        ):
            if part is not None and origin is not None:
                todo.append((part, origin))
        members = cast(list[TracebackException] | None, getattr(target, "exceptions", None))
        todo += zip(members or [], source.children or [], strict=False)
    return "".join(formatted.format()).rstrip("\n")


def render_stack(frames: Frames) -> str:
    """The stack of a thread, in the shape of a traceback."""
    return "Traceback (most recent call last):\n" + "".join(_stack(frames, 0).format()).rstrip("\n")


class _Stack(StackSummary):
    """Formatting a frame parses its line of source to place the carets; in a storm it is the same frames each time."""

    def format_frame_summary(self, frame_summary: FrameSummary, **options: Any) -> str:
        entry = linecache.cache.get(frame_summary.filename, ())
        place = (frame_summary.filename, frame_summary.lineno, frame_summary.name)
        columns = (
            frame_summary.end_lineno,
            frame_summary.colno,
            frame_summary.end_colno,
        )
        key = (place, columns, entry[:2] if len(entry) > 1 else None)
        text = _formatted_frames.get(key)
        if text is None:
            text = super().format_frame_summary(frame_summary, **options)
            if len(_formatted_frames) >= _FORMATTED_FRAMES_LIMIT:
                _formatted_frames.clear()
            _formatted_frames[key] = text
        return text


_FORMATTED_FRAMES_LIMIT = 4096
_formatted_frames: dict[Any, str] = {}


def _stack(frames: Frames, left_out: int) -> StackSummary:
    for filename in {code.co_filename for code, _, _ in frames}:
        linecache.checkcache(filename)
    summaries = [_summary(code, line, offset) for code, line, offset in frames]
    if left_out:
        note = FrameSummary(f"<{left_out} frames left out>", 0, "…", lookup_line=False, line="")
        summaries.insert(FRAMES_LIMIT // 2, note)
    return _Stack(summaries)


@lru_cache(maxsize=4096)
def _positions(code: CodeType, offset: int) -> tuple[int | None, int | None, int | None, int | None]:
    if offset < 0:
        return (None, None, None, None)
    return next(islice(code.co_positions(), offset // 2, None), (None, None, None, None))


def _summary(code: CodeType, line: int, offset: int) -> FrameSummary:
    _, end_line, column, end_column = _positions(code, offset)
    return FrameSummary(
        code.co_filename,
        line,
        code.co_name,
        lookup_line=False,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )


def _stand_in(snapshot: ExceptionSnapshot, scrub: Scrub) -> BaseException:
    """An exception that prints as the original did, with its causes and members, and no frames."""
    error = _instance(snapshot, scrub)
    if snapshot.notes:
        error.__notes__ = [scrub(note) for note in snapshot.notes]
    if snapshot.cause is not None:
        error.__cause__ = _stand_in(snapshot.cause, scrub)
    if snapshot.context is not None:
        error.__context__ = _stand_in(snapshot.context, scrub)
    return error


def _instance(snapshot: ExceptionSnapshot, scrub: Scrub) -> BaseException:
    text = None if snapshot.text is None else scrub(snapshot.text)
    if snapshot.children:
        members = [_stand_in(child, scrub) for child in snapshot.children]
        # Not shown, but counted in the group's headline.
        members += [Exception()] * min(snapshot.children_left_out, 1000)
        kind = _stand_in_class(cast(Any, snapshot.kind), cast(Any, BaseExceptionGroup))
        return cast(BaseException, cast(Any, kind)(text or "", members))
    base: Any = SyntaxError if snapshot.syntax is not None else Exception
    error = _stand_in_class(cast(Any, snapshot.kind), base)()
    cast(Any, error).dagy_text = text
    for name, value in (snapshot.syntax or {}).items():
        setattr(error, name, scrub(value) if isinstance(value, str) else value)
    return error


@lru_cache(maxsize=512)
def _stand_in_class(kind: Any, base: Any) -> type[BaseException]:
    namespace: dict[str, Any] = {
        "__module__": _plain(getattr(kind, "__module__", None), "builtins"),
        "__qualname__": _plain(getattr(kind, "__qualname__", None), "Exception"),
    }
    if base is Exception:
        namespace["__str__"] = _saved_text
    return cast(
        type[BaseException],
        type(_plain(getattr(kind, "__name__", None), "Exception"), (base,), namespace),
    )


def _saved_text(error: Any) -> str:
    if error.dagy_text is None:
        raise ValueError("str() failed when the exception was captured")
    return str(error.dagy_text)


def _plain(name: object, otherwise: str) -> str:
    return name.replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(name, str) else otherwise
