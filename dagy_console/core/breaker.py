"""A server that hangs must not hold every thread: some may wait for it, and for a while after that nobody."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

# So many calls one after the other without an answer, and it is left alone.
FAILURES = 2
REST_SECONDS = 3
LONGEST_REST_SECONDS = 30


class Refused(Exception):
    """The call was not made; another one may be in `seconds`."""

    def __init__(self, *, seconds: float, full: bool) -> None:
        super().__init__(f"not asked for {seconds:.1f} s")
        self.seconds = seconds
        self.full = full


class Breaker:
    """Safe in any thread. At most `most` calls at once; where they end in `no_answer`, none for some seconds, then one
    to see, which either ends the rest or doubles it.
    """

    def __init__(self, *, most: int, no_answer: tuple[type[Exception], ...]) -> None:
        self._most = most
        self._no_answer = no_answer
        self._lock = threading.Lock()
        self._inside = 0
        self._failures = 0
        self._rest = REST_SECONDS / 2
        self._rests_until = 0.0

    def check(self) -> None:
        """Raises Refused where a call would be refused now."""
        left = self._rests_until - monotonic()
        if left > 0:
            raise Refused(seconds=left, full=False)
        # While it is in doubt, one asks for all.
        if self._inside >= (self._most if self._failures < FAILURES else 1):
            raise Refused(seconds=1, full=True)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Make the call in this block. Raises Refused at once where it may not be made."""
        with self._lock:
            self.check()
            self._inside += 1
        answered = True
        try:
            yield
        except self._no_answer:
            answered = False
            raise
        finally:
            self._left(answered)

    def _left(self, answered: bool) -> None:
        with self._lock:
            self._inside -= 1
            self._failures = 0 if answered else self._failures + 1
            # Those that went in together fail together, which is one rest and not many.
            if self._failures >= FAILURES and self._rests_until <= monotonic():
                self._rest = min(LONGEST_REST_SECONDS, self._rest * 2)
                self._rests_until = monotonic() + self._rest * random.uniform(0.8, 1)  # noqa: S311 - guards no secret
            elif answered:
                self._rest, self._rests_until = REST_SECONDS / 2, 0.0
