"""The graph of a flow: its calls of tasks, and who waits for whom. Made by running the flow's function once."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dagy.arguments import outputs_in, snapshot
from dagy.errors import DependencyCycleError, OutsideFlowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dagy.tasks import Task

_building: ContextVar[Graph | None] = ContextVar("dagy_building", default=None)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_ID_LENGTH = 80


class Node:
    """One call of a task. `upstream` holds the ids of the tasks that it waits for, in the order they were met."""

    __slots__ = ("arguments", "graph", "holds_outputs", "task", "task_id", "upstream")

    def __init__(self, graph: Graph, task: Task[Any, Any], task_id: str, arguments: dict[str, Any]) -> None:
        self.graph = graph
        self.task = task
        self.task_id = task_id
        self.arguments, outputs = snapshot(arguments)
        self.holds_outputs = bool(outputs)
        self.upstream: dict[str, None] = {}
        self.wait_for(outputs)

    def wait_for(self, outputs: Iterable[Any]) -> None:
        for output in outputs_in(outputs, f"wait_for of task {self.task_id!r}"):
            if output.node.graph is not self.graph:
                raise OutsideFlowError(
                    f"Task {self.task_id!r} was given {output!r}, which is of another run: "
                    "use outputs only in the flow that made them."
                )
            self.upstream[output.task_id] = None


class Graph:
    """All calls of one run. `nodes` keeps the order of the calls."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._taken: dict[str, int] = {}

    def add(self, task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any]) -> Node:
        """Add a call. Raises ParameterError where the function can't be called like this."""
        task_id = self._new_id(task.name)
        node = Node(self, task, task_id, task.signature.bind(args, kwargs))
        node.wait_for(wait_for)
        self.nodes[task_id] = node
        return node

    def check(self) -> None:
        """Raise DependencyCycleError where tasks wait for one another."""
        waiting = {task_id: len(node.upstream) for task_id, node in self.nodes.items()}
        downstream = self.downstream()
        free = [task_id for task_id, count in waiting.items() if not count]
        while free:
            task_id = free.pop()
            del waiting[task_id]
            for user in downstream[task_id]:
                waiting[user] -= 1
                if not waiting[user]:
                    free.append(user)
        if waiting:
            raise DependencyCycleError(self._cycle_in(waiting))

    def downstream(self) -> dict[str, list[str]]:
        """Task id → ids of those that wait for it."""
        users: dict[str, list[str]] = {task_id: [] for task_id in self.nodes}
        for task_id, node in self.nodes.items():
            for upstream in node.upstream:
                users[upstream].append(task_id)
        return users

    def _cycle_in(self, waiting: dict[str, int]) -> list[str]:
        """Whoever is left waits for another who is left: following them must meet one twice."""
        seen: dict[str, int] = {}
        path: list[str] = []
        task_id = next(iter(waiting))
        while task_id not in seen:
            seen[task_id] = len(path)
            path.append(task_id)
            task_id = next(upstream for upstream in self.nodes[task_id].upstream if upstream in waiting)
        cycle = path[seen[task_id] :][::-1]
        first = min(range(len(cycle)), key=lambda i: list(self.nodes).index(cycle[i]))
        return [*cycle[first:], *cycle[:first], cycle[first]]

    def _new_id(self, name: str) -> str:
        """A name that any file system takes, once in the run: `load`, `load-2`."""
        base = _UNSAFE.sub("-", name).strip("-.")[:_ID_LENGTH] or "task"
        number = self._taken.get(base.casefold(), 0) + 1
        while number > 1 and f"{base}-{number}".casefold() in self._taken:
            number += 1
        self._taken[base.casefold()] = number
        task_id = base if number == 1 else f"{base}-{number}"
        self._taken.setdefault(task_id.casefold(), 1)
        return task_id


def being_built() -> Graph | None:
    return _building.get()


@contextmanager
def building(graph: Graph | None) -> Iterator[None]:
    token = _building.set(graph)
    try:
        yield
    finally:
        _building.reset(token)
