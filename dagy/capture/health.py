"""Whether S3 takes traces now: what the writer's threads learn from its answers, and how long they leave it alone."""

from __future__ import annotations

import random
import threading
import time

# So many different traces refused one after the other, and none taken between them: it is the bucket, not the traces.
_REFUSED_IN_A_ROW = 5
_LONGEST_WISH_SECONDS = 300.0


class Health:
    """Safe in any thread. Down means that S3 is left alone for a while, then asked by one thread."""

    def __init__(self, *, retry_seconds: float, probe_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._probe_seconds = probe_seconds
        self._lock = threading.RLock()
        self._down_until = 0.0
        self._refused: set[str] = set()
        self.failures = 0
        self.last_error: str | None = None
        self.accepted_at = float("-inf")
        """When S3 last took a trace (monotonic)."""

    def seconds_down(self) -> float:
        """For how long S3 is left alone; 0 or less where it may be asked."""
        return self._down_until - time.monotonic()

    def ask_now(self) -> None:
        """Somebody waits: S3 may be asked at once."""
        self._down_until = 0.0

    def accepted(self) -> bool:
        """S3 took a trace. Answers whether it was down before."""
        with self._lock:
            recovered = self.failures > 0
            self.failures = 0
            self._down_until = 0.0
            self._refused.clear()
            self.last_error = None
            self.accepted_at = time.monotonic()
            return recovered

    def went_down(self, reason: str, *, wish_seconds: float = 0.0) -> None:
        """No trace would be taken now: leave S3 alone, each time for longer, and as long as it wishes."""
        with self._lock:
            self.last_error = reason
            # Threads that asked at the same time have learned one thing.
            if self.seconds_down() <= 0:
                pause = jittered(min(self._probe_seconds, self._retry_seconds * 2 ** min(self.failures, 12)))
                self._down_until = time.monotonic() + max(pause, min(wish_seconds, _LONGEST_WISH_SECONDS))
                self.failures += 1

    def refused(self, key: str, reason: str) -> None:
        """S3 refused one trace: perhaps for what it is, perhaps all of them."""
        with self._lock:
            self.last_error = reason
            if len(self._refused) < _REFUSED_IN_A_ROW:
                self._refused.add(key)
            if len(self._refused) == _REFUSED_IN_A_ROW:
                self.went_down(reason)


def jittered(seconds: float) -> float:
    """Half of it to all of it, so that many processes do not come at once."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - guards no secret
