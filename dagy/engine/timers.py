"""What the main thread of a run sleeps for: moments at which something is due, and messages."""

from __future__ import annotations

import heapq
import itertools
import threading
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WAKE = object()


class Timers:
    """`send` may be called by any thread, and by signal handlers: it takes no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._inbox: SimpleQueue[Any] = SimpleQueue()

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Let the main thread do something at a moment of `monotonic()`."""
        with self._lock:
            heapq.heappush(self._due, (moment, next(self._order), action))
            is_next = self._due[0][2] is action
        if is_next:
            self.send(WAKE)

    def send(self, message: Any) -> None:
        self._inbox.put(message)

    def wait(self) -> Any:
        """The next message; WAKE where something may be due instead."""
        with self._lock:
            timeout = max(0.0, self._due[0][0] - monotonic()) if self._due else None
        try:
            return self._inbox.get(timeout=timeout)
        except Empty:
            return WAKE

    def fire(self) -> None:
        """Do what is due."""
        actions = []
        with self._lock:
            while self._due and self._due[0][0] <= monotonic():
                actions.append(heapq.heappop(self._due)[2])
        for action in actions:
            action()
