"""Whether, and when, a task is tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from dagy.errors import ArtifactSerializationError, ParameterError

if TYPE_CHECKING:
    from dagy.tasks import Task

_NEVER_BETTER = (ArtifactSerializationError, ParameterError)
"""The same arguments, the same code: another attempt ends the same way."""


def is_retryable(task: Task[Any, Any], attempt: int, error: BaseException) -> bool:
    """After the failed attempt of this number, from 1. Raises what the task's condition raises."""
    if attempt > task.retries or isinstance(error, _NEVER_BETTER):
        return False
    return task.retry_condition_fn is None or bool(task.retry_condition_fn(error))


def delay_after(task: Task[Any, Any], attempt: int) -> float:
    """Seconds to wait. Raises what the task's function of delays raises."""
    delay = task.retry_delay_seconds
    if callable(delay):
        seconds = float(delay(attempt))
    elif isinstance(delay, (int, float)):
        seconds = delay
    else:
        seconds = delay[min(attempt, len(delay)) - 1]
    jitter = random.random() * task.retry_jitter_factor if task.retry_jitter_factor else 0  # noqa: S311
    return max(0.0, seconds * (1 + jitter))
