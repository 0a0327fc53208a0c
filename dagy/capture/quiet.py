"""Warnings that a storm can't turn into a flood."""

from __future__ import annotations

import logging
import threading
import time

_QUIET_SECONDS = 30.0


class QuietLog:
    """Passes one message of a kind in 30 seconds, with the number of those held back before it."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.RLock()
        self._last: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str, *args: object) -> None:
        now = time.monotonic()
        with self._lock:
            logged_at, held_back = self._last.get(kind, (-_QUIET_SECONDS, 0))
            if now - logged_at < _QUIET_SECONDS:
                self._last[kind] = (logged_at, held_back + 1)
                return
            self._last[kind] = (now, 0)
        suffix = f" ({held_back} more like this before)" if held_back else ""
        self._log.warning("%s%s", message % args if args else message, suffix)
