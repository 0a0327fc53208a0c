"""Keeping what tasks return and save."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from dagy.artifacts import stand_in
from dagy.engine.words import Abandoned
from dagy.serialization import dumps

if TYPE_CHECKING:
    from dagy.artifacts import LocalArtifact
    from dagy.backend import Backend
    from dagy.engine.states import Attempt, TaskState
    from dagy.records import ArtifactRecord


class Outputs:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def keep(self, state: TaskState, value: Any) -> BaseException | None:
        """Store a task's output, and the artifacts in it; returns why that can't be done."""
        saved = set(state.artifacts)
        try:
            data = dumps(
                value,
                task_id=state.task_id,
                limit=self._backend.max_artifact_bytes,
                artifact=lambda found: stand_in(self._store_returned(state, found, saved)),
            )
            state.output_record = self._backend.store_output(state.task_id, data)
        except Exception as error:
            return error
        return None

    def save(self, state: TaskState, attempt: Attempt, artifact: LocalArtifact) -> ArtifactRecord:
        """What `RunContext.artifacts.save` does. Raises Abandoned where the attempt is over."""
        if attempt.closed:
            raise Abandoned(f"attempt {attempt.number} of task {state.task_id!r} is over: it can't save artifacts")
        return self._store(state, artifact, artifact.name)

    def _store_returned(self, state: TaskState, artifact: LocalArtifact, saved: set[str]) -> ArtifactRecord:
        """One that the task has saved already is that one; another of the same name gets a number."""
        if artifact.name in saved:
            return state.artifacts[artifact.name]
        stem, dot, suffix = artifact.name.rpartition(".") if "." in artifact.name else (artifact.name, "", "")
        numbered = (f"{stem}-{number}{dot}{suffix}" for number in itertools.count(2))
        names = itertools.chain([artifact.name], numbered)
        return self._store(state, artifact, next(name for name in names if name not in state.artifacts))

    def _store(self, state: TaskState, artifact: LocalArtifact, name: str) -> ArtifactRecord:
        record = self._backend.store_artifact(state.task_id, artifact, name)
        state.artifacts[name] = record
        return record
