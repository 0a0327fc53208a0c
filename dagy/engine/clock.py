"""The time of a run: the wall clock is read once, and goes on by a clock that never steps back."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, time


class Clock:
    def __init__(self) -> None:
        self._offset = time() - monotonic()
        self._second = (0, "")

    def text(self, moment: float | None = None) -> str:
        """A moment of `monotonic()`, now if none is given, as RFC 3339 in UTC."""
        at = self._offset + (monotonic() if moment is None else moment)
        second, text = self._second
        # One a log line, and seven a task: strftime takes sixteen times as long.
        if second != int(at):
            second = int(at)
            text = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._second = (second, text)
        return f"{text}.{int((at - second) * 1_000_000):06}Z"
