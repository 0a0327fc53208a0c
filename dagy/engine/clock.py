"""The time of a run: the wall clock is read once, and goes on by a clock that never steps back."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, time


class Clock:
    def __init__(self) -> None:
        self._offset = time() - monotonic()

    def text(self, moment: float | None = None) -> str:
        """A moment of `monotonic()`, now if none is given, as RFC 3339 in UTC."""
        at = datetime.fromtimestamp(self._offset + (monotonic() if moment is None else moment), UTC)
        # Seven of these a task, and strftime takes eight times as long.
        return f"{at.isoformat(timespec='microseconds')[:-6]}Z"
