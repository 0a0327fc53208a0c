"""Dagy's SDK: flows of Python tasks, run here or on the platform. Standard library only.

    from dagy import flow, task

    @task(retries=2)
    def extract(day): ...

    @flow
    def nightly(day: str):
        load(extract(day))

    result = nightly.run_local(day="2026-01-15")

`dagy.capture` stores exceptions; `DagyClient` speaks to the platform's API.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagy.artifacts import LocalArtifact
    from dagy.client import DagyClient
    from dagy.context import RunContext
    from dagy.errors import (
        ArtifactSerializationError,
        DagyError,
        DependencyCycleError,
        ParameterError,
        TaskFailedError,
        TaskTimeoutError,
    )
    from dagy.flows import Flow, flow
    from dagy.outputs import TaskOutput
    from dagy.results import RunResult, TaskRun
    from dagy.states import State
    from dagy.tasks import Task, task

__version__ = "0.1.0"

__all__ = [
    "ArtifactSerializationError",
    "DagyClient",
    "DagyError",
    "DependencyCycleError",
    "Flow",
    "LocalArtifact",
    "ParameterError",
    "RunContext",
    "RunResult",
    "State",
    "Task",
    "TaskFailedError",
    "TaskOutput",
    "TaskRun",
    "TaskTimeoutError",
    "flow",
    "task",
]

_HOMES = {
    "ArtifactSerializationError": "dagy.errors",
    "DagyClient": "dagy.client",
    "DagyError": "dagy.errors",
    "DependencyCycleError": "dagy.errors",
    "Flow": "dagy.flows",
    "LocalArtifact": "dagy.artifacts",
    "ParameterError": "dagy.errors",
    "RunContext": "dagy.context",
    "RunResult": "dagy.results",
    "State": "dagy.states",
    "Task": "dagy.tasks",
    "TaskFailedError": "dagy.errors",
    "TaskOutput": "dagy.outputs",
    "TaskRun": "dagy.results",
    "TaskTimeoutError": "dagy.errors",
    "flow": "dagy.flows",
    "task": "dagy.tasks",
}


def __getattr__(name: str) -> Any:
    """What is imported from here is loaded when it is first asked for: who only captures exceptions loads no engine."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dagy' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
