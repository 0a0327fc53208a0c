"""How many calls of one task may run at once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagy.engine.states import TaskState
    from dagy.tasks import Task


class Slots:
    """Used with the run's lock held."""

    def __init__(self) -> None:
        self._taken: dict[Task[Any, Any], int] = {}
        self._waiting: dict[Task[Any, Any], deque[TaskState]] = {}

    def take(self, state: TaskState) -> bool:
        """Whether the task may run now; otherwise `give_back` will hand it out."""
        task = state.node.task
        if task.concurrency_limit is None:
            return True
        taken = self._taken.get(task, 0)
        if taken >= task.concurrency_limit:
            self._waiting.setdefault(task, deque()).append(state)
            return False
        self._taken[task] = taken + 1
        return True

    def give_back(self, state: TaskState) -> TaskState | None:
        """The one that waited longest, which has the slot now."""
        task = state.node.task
        if task.concurrency_limit is None:
            return None
        waiting = self._waiting.get(task)
        if waiting:
            return waiting.popleft()
        self._taken[task] -= 1
        return None
