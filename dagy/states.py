"""The states of runs and task runs."""

from enum import StrEnum


class State(StrEnum):
    """A run goes `QUEUED → RUNNING → SUCCEEDED | FAILED | CANCELLED`, with `CANCELLING` shown while it stops.

    A task run goes from `PENDING` to `RUNNING` and to one of the final states. Between two attempts it is `PENDING`
    again. `SKIPPED`: an upstream did not succeed.
    """

    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether it never changes again."""
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.SKIPPED, State.TIMED_OUT, State.CANCELLED})
