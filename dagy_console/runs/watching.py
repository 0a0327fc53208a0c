"""What a run's child process says, read until it has ended, and what it is told: to go on, or to stop."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from dagy_console.core import artifacts
from dagy_console.core.errors import ConsoleError
from dagy_console.runs.journal import plain
from dagy_console.runs.models import Run, RunStatus, artifact_key

if TYPE_CHECKING:
    from dagy_console.runs.children import Child
    from dagy_console.runs.journal import Journal
    from dagy_console.runs.masking import Mask

# What ignores SIGTERM is killed after this.
GRACE_SECONDS = 5.0
FLUSH_SECONDS = 0.25
MAX_ARTIFACT_BYTES = 5_242_880
_MAX_LINE = 8 << 20
_UPLOADS, _MAX_WAITING = 4, 16
# A pipe holds less: what comes after that from a process that has ended is written by what it left behind.
_MAX_LAST_WORDS = 4 << 20


class Watcher:
    """Takes the child's lines, has them written several times a second, and passes a cancellation on.

    `mask` hides secrets; `flush` writes the journal down and answers the run's status: what it raises ends
    the watch.
    """

    def __init__(self, run: Run, child: Child, journal: Journal, mask: Mask, flush: Callable[[], str]) -> None:
        self._mask = mask
        self._run = run
        self._child = child
        self._process = child.process
        self._journal = journal
        self._flush = flush
        self._flushed = monotonic()
        self._stopped_at: float | None = None

    def watch(self) -> int:
        """The child's exit code, once all that it said is written down, and all that it left is kept."""
        with Uploads() as uploads:
            for line in self._lines():
                self._take(line, uploads)
                if self._journal.is_full:
                    self._flush()
            for name, task_id, reason in uploads.failures():
                self._journal.log(f"{name!r} could not be kept: {reason}", level="ERROR", task_id=task_id)
        self._flush()
        try:
            return self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it has closed its pipe, and goes on: it is ended with the block
            return -signal.SIGKILL

    def _lines(self) -> Iterator[bytes]:
        rest, last_words = b"", 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.messages, selectors.EVENT_READ)
            while last_words < _MAX_LAST_WORDS:
                ended = self._process.poll() is not None
                if selector.select(0 if ended else FLUSH_SECONDS):
                    piece = os.read(self._child.messages, 1 << 20)
                    if not piece:
                        return
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from lines
                    rest = rest if len(rest) <= _MAX_LINE else b""
                    last_words += len(piece) if ended else 0
                elif ended:
                    return
                self._now_and_then()

    def _now_and_then(self) -> None:
        if monotonic() - self._flushed < FLUSH_SECONDS:
            return
        self._flushed = monotonic()
        if self._flush() == RunStatus.CANCELLING:
            self._stop()

    def _stop(self) -> None:
        """SIGTERM, then after the grace time SIGKILL, to the child's whole group."""
        if self._stopped_at is None:
            self._stopped_at = monotonic()
            self._signal(signal.SIGTERM)
        elif monotonic() - self._stopped_at > GRACE_SECONDS:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _take(self, line: bytes, uploads: Uploads) -> None:
        try:
            message = self._mask.read(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        if message.get("kind") == "stored":
            self._store(message, uploads)
        elif message.get("kind") == "refused":
            self._journal.last = {"status": "FAILED", "failure": plain(message), "reason": message.get("message")}
        else:
            self._journal.take(message)

    def _store(self, message: dict[str, Any], uploads: Uploads) -> None:
        """Only files of the spool, by the names that the run may use for itself."""
        task_id, name = str(message.get("task_id"))[:100], str(message.get("name"))[:200]
        path = self._child.spool / Path(str(message.get("path"))).name
        if not _is_name(task_id) or not _is_name(name) or path.is_symlink() or not path.is_file():
            return
        if path.stat().st_size <= MAX_ARTIFACT_BYTES:
            content_type = str(message.get("content_type"))[:100].encode("ascii", "ignore").decode()
            key = artifact_key(self._run, task_id, name)
            uploads.add(name, task_id, partial(artifacts.save, key, path.read_bytes(), content_type=content_type))
        path.unlink(missing_ok=True)


class Uploads:
    """Files on their way to S3, a few at a time: a run that leaves many does not wait for each."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="uploads")
        self._room = BoundedSemaphore(_MAX_WAITING)
        self._under_way: list[tuple[str, str, Future[None]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, name: str, task_id: str, save: Callable[[], None]) -> None:
        """Waits where many are under way."""
        self._room.acquire()
        future = self._pool.submit(save)
        future.add_done_callback(lambda _: self._room.release())
        self._under_way.append((name, task_id, future))

    def failures(self) -> Iterator[tuple[str, str, str]]:
        """Name, task and reason of each that was not kept, once all are done."""
        for name, task_id, future in self._under_way:
            error = future.exception()
            if error is not None:
                yield name, task_id, error.detail if isinstance(error, ConsoleError) else type(error).__name__


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and text.isprintable() and "/" not in text and "\\" not in text
