"""The thread that sends what the spool holds, oldest first, and ends when it is empty."""

# ruff: noqa: BLE001 - capture must outlive whatever it captures, and whatever S3, disks and hooks raise.

from __future__ import annotations

import threading
from collections.abc import Callable

from dagy.capture.quiet import QuietLog
from dagy.capture.spool import Claim, Spool


class Drainer:
    """`send` puts one claimed trace and answers whether to go on; `seconds_down` says how long to leave S3 alone."""

    def __init__(
        self,
        spool: Spool,
        *,
        send: Callable[[Claim], bool],
        seconds_down: Callable[[], float],
        pause_seconds: float,
        log: QuietLog,
    ) -> None:
        self._spool = spool
        self._send = send
        self._seconds_down = seconds_down
        self._pause_seconds = pause_seconds
        self._log = log
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, where it does not run already."""
        with self._lock:
            if self._thread is not None or self._stopping.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="dagy-capture-drain", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # The interpreter ends: the next start drains.
                self._thread = None

    def wake(self) -> None:
        """S3 answers again."""
        self._wake.set()

    def stop(self, timeout: float) -> None:
        self._stopping.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._drain()
            except Exception as error:
                self._log.warning("drain", "the spool could not be read (%s)", type(error).__name__)
            with self._lock:
                if not self._spool.has_files():
                    self._thread = None
                    return
            # What other processes have claimed may come back: look again, but not all the time.
            self._wake.wait(max(self._seconds_down(), self._pause_seconds))
            self._wake.clear()

    def _drain(self) -> None:
        if self._seconds_down() > 0:
            return
        self._spool.recover()
        for path in self._spool.waiting(refused_pause=self._pause_seconds):
            if self._stopping.is_set():
                return
            claim = self._spool.claim(path)
            if claim is not None and not self._send(claim):
                return
