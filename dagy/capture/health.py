"""Whether S3 takes traces now: what the writer's threads learn from its answers, and how long they leave it alone."""

from __future__ import annotations

import random
import threading
import time

# So many different traces denied one after the other, and none taken between them: it is the bucket, not the traces.
_DENIED_IN_A_ROW = 5


class Health:
    """Safe in any thread. Down means that traces go to the spool without asking S3."""

    def __init__(self, *, retry_seconds: float, probe_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._probe_seconds = probe_seconds
        self._lock = threading.RLock()
        self._down_until = 0.0
        self._denied: set[str] = set()
        self.failures = 0
        self.last_error: str | None = None
        self.accepted_at = 0.0
        """When S3 last took a trace, in seconds since 1970."""

    def seconds_down(self) -> float:
        """For how long S3 is left alone; 0 or less where it may be asked."""
        return self._down_until - time.monotonic()

    def accepted(self) -> bool:
        """S3 took a trace. Answers whether it was down before."""
        with self._lock:
            recovered = self.failures > 0
            self.failures = 0
            self._down_until = 0.0
            self._denied.clear()
            self.last_error = None
            self.accepted_at = time.time()
            return recovered

    def went_down(self, reason: str) -> None:
        """No trace would be taken now: leave S3 alone, each time for longer."""
        with self._lock:
            self.failures += 1
            pause = min(self._probe_seconds, self._retry_seconds * 2 ** min(self.failures, 12))
            self._down_until = time.monotonic() + jittered(pause)
            self.last_error = reason

    def refused(self, reason: str) -> None:
        """S3 refused one trace for what it is, which says nothing about others."""
        with self._lock:
            self.last_error = reason

    def denied(self, key: str, reason: str) -> None:
        """S3 denied one trace: perhaps for its key alone, perhaps all of them."""
        with self._lock:
            self.last_error = reason
            if len(self._denied) < _DENIED_IN_A_ROW:
                self._denied.add(key)
            if len(self._denied) == _DENIED_IN_A_ROW:
                self.went_down(reason)


def jittered(seconds: float) -> float:
    """Half of it to all of it, so that many processes do not come at once."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - guards no secret
