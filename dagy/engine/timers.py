"""What the main thread of a run sleeps for: moments at which something is due, messages, and signals."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

WAKE = object()


class Timers:
    """Used in a `with` by the thread that waits. `send` may be called by any thread, and by signal handlers.

    The thread sleeps on a pipe and not on a lock: the system may hand a signal to any thread, and only what Python
    writes to the pipe then wakes the main thread, which alone runs the handlers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._inbox: deque[Any] = deque()

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._write)
        os.close(self._read)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Let the main thread do something at a moment of `monotonic()`."""
        with self._lock:
            heapq.heappush(self._due, (moment, next(self._order), action))
            is_next = self._due[0][2] is action
        if is_next:
            self._wake()

    def send(self, message: Any) -> None:
        self._inbox.append(message)
        self._wake()

    def wait(self) -> Any:
        """The next message; WAKE where something may be due instead."""
        if not self._inbox:
            with self._lock:
                timeout = max(0.0, self._due[0][0] - monotonic()) if self._due else None
            select.select([self._read], [], [], timeout)
            self._drain()
        return self._inbox.popleft() if self._inbox else WAKE

    def fire(self) -> None:
        """Do what is due."""
        actions = []
        with self._lock:
            while self._due and self._due[0][0] <= monotonic():
                actions.append(heapq.heappop(self._due)[2])
        for action in actions:
            action()

    def _wake(self) -> None:
        try:
            os.write(self._write, b"\0")
        except OSError:  # it is full, so the thread wakes anyhow; or closed, and nobody waits
            pass

    def _drain(self) -> None:
        try:
            while len(os.read(self._read, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass
