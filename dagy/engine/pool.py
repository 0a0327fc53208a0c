"""Worker threads that take jobs as soon as there are any; a thread that hangs is left alone and replaced."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], bool]


class Pool:
    """A job returns whether its thread is still of use: False where it was abandoned meanwhile.

    All but `close` are called with `lock` held. A thread that takes a job wakes another one where more are waiting,
    so whoever adds jobs and then takes one itself has nobody to wake.
    """

    def __init__(self, lock: threading.Lock, max_workers: int, name: str) -> None:
        self._available = threading.Condition(lock)
        self._lock = lock
        self._name = name
        self._max_workers = max_workers
        self._jobs: deque[Job] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False

    def add(self, job: Job, *, first: bool = False) -> None:
        (self._jobs.appendleft if first else self._jobs.append)(job)

    def wake(self) -> None:
        """See to it that somebody takes the jobs that wait."""
        if not self._jobs:
            return
        if self._idle:
            self._available.notify()
        elif len(self._threads) < self._max_workers:
            self._start_thread()

    def abandon(self, thread: threading.Thread) -> None:
        self._threads.discard(thread)

    def close(self, timeout: float = 1.0) -> None:
        with self._lock:
            self._closed = True
            self._available.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout)

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads) + 1}", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more: those that are there do the work
            self._threads.discard(thread)
            if not self._threads:
                raise

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._jobs and not self._closed:
                    self._idle += 1
                    self._available.wait()
                    self._idle -= 1
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self.wake()
            if not job():
                return
