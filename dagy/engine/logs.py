"""What code in a run logs, and where asked prints, goes to the log of its task.

One handler at the root of `logging` serves all runs of the process: whose entry it is, the context of the thread says.
A root logger that nobody has configured is set to `DAGY_LOCAL_LOG_LEVEL` (INFO) while runs go on; a configured one is
left as it is. The loggers of `RunContext` have that level always.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from dagy.context import current_context

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()


def task_logger(name: str | None) -> logging.Logger:
    return logging.getLogger(f"dagy.task.{name}" if name else "dagy.flow")


class _ToTheRun(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        context = current_context()
        if context is None:
            return
        try:
            is_plain = not (record.exc_info or record.exc_text or record.stack_info)
            # The message alone is what `format` would say of it, in half the time.
            context.write(record.levelname, record.getMessage() if is_plain else self.format(record))
        except Exception:
            self.handleError(record)


class _Prints:
    """In the place of `sys.stdout`: whole lines of tasks that log their prints go to the log, all else passes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._parts = threading.local()

    def write(self, text: str) -> int:
        context = current_context()
        if context is None or not context.log_prints:
            return self._stream.write(text)
        *lines, rest = (getattr(self._parts, "text", "") + text).split("\n")
        self._parts.text = rest
        for line in lines:
            context.write("INFO", line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def finish_line(self) -> None:
        """What was printed without an end of line."""
        if getattr(self._parts, "text", ""):
            self.write("\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Capture:
    """How many runs go on, and what was there before the first of them."""

    def __init__(self) -> None:
        self.runs = 0
        self.handler = _ToTheRun()
        self.level_before: int | None = None
        self.stdout_before: TextIO | None = None
        self.prints: _Prints | None = None

    def begin(self, log_prints: bool) -> None:
        if not self.runs:
            self._listen()
        self.runs += 1
        if log_prints and self.prints is None:
            self.stdout_before = sys.stdout
            self.prints = _Prints(sys.stdout)
            sys.stdout = self.prints

    def end(self) -> None:
        self.runs -= 1
        if self.runs:
            return
        logging.root.removeHandler(self.handler)
        if self.level_before is not None:
            logging.root.setLevel(self.level_before)
            self.level_before = None
        if self.stdout_before is not None:
            if sys.stdout is self.prints:
                sys.stdout = self.stdout_before
            self.stdout_before = self.prints = None

    def _listen(self) -> None:
        if not logging.root.handlers and logging.root.level == logging.WARNING:
            self.level_before = logging.root.level
            logging.root.setLevel(_level())
        for name in ("dagy.task", "dagy.flow"):
            logging.getLogger(name).setLevel(_level())
        logging.root.addHandler(self.handler)


_capture = _Capture()


@contextmanager
def captured(*, log_prints: bool) -> Iterator[None]:
    with _lock:
        _capture.begin(log_prints)
    try:
        yield
    finally:
        with _lock:
            _capture.end()


def finish_line() -> None:
    """Log what the task that ends in this thread has printed without an end of line."""
    if _capture.prints is not None:
        _capture.prints.finish_line()


def _level() -> int:
    level = logging.getLevelNamesMapping().get(os.environ.get("DAGY_LOCAL_LOG_LEVEL", "INFO").strip().upper())
    return logging.INFO if level is None else level
