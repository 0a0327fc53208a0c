"""Dagy's SDK: flows of Python tasks, run here or on the platform. Standard library only.

    from dagy import flow, task

    @task(retries=2)
    def extract(day): ...

    @flow
    def nightly(day: str):
        load(extract(day))

    result = nightly.run_local(day="2026-01-15")

`dagy.capture` stores exceptions.
"""

from dagy.artifacts import LocalArtifact
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
