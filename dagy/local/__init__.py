"""Runs on this machine: their files below `DAGY_LOCAL_DIR` (`~/.dagy`), and nothing else. No server, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dagy.flows import Flow
    from dagy.records import RunRecord, TaskRunRecord
    from dagy.results import RunResult


class Watch(Protocol):
    """Is told what happens to a run, by several threads. One that raises is told no more."""

    def run_changed(self, record: RunRecord) -> None: ...

    def task_changed(self, record: TaskRunRecord) -> None: ...

    def logged(self, line: str) -> None: ...


def run(
    flow: Flow[Any, Any],
    parameters: dict[str, Any],
    *,
    max_workers: int = 4,
    fail_fast: bool = True,
    watch: Watch | None = None,
) -> RunResult:
    """What `Flow.run_local` does, which says what is raised; `watch` is told what happens meanwhile."""
    from dagy.engine.execution import Options, execute
    from dagy.local import index
    from dagy.local.files import FilesBackend
    from dagy.local.ids import new_run_id

    options = Options(max_workers=max_workers, fail_fast=fail_fast)
    checked = flow.checked(parameters)
    run_id = new_run_id()
    backend = FilesBackend(run_id, watch=watch)
    try:
        result = execute(flow, checked, backend, run_id, options)
    finally:
        backend.close()
    index.put(result.record)
    return _raised(result, tuple(backend.warnings), fail_fast=fail_fast)


def _raised(result: RunResult, warnings: tuple[str, ...], *, fail_fast: bool) -> RunResult:
    from dataclasses import replace

    from dagy.errors import TaskFailedError

    result = replace(result, warnings=warnings)
    if result.interruption is not None:
        raise result.interruption
    error = result.error
    if error is None or (isinstance(error, TaskFailedError) and not fail_fast and result.task_runs):
        return result
    if isinstance(error, TaskFailedError):
        error.result = result
    raise error
