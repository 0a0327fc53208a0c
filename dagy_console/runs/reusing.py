"""What a retry takes over of the run before it: the outputs of the tasks that succeeded, with the files in them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dagy.artifacts import OUTPUT_NAME
from dagy.states import State
from dagy_console.core import artifacts, storage
from dagy_console.runs.models import Run, TaskRun, artifact_key

_AT_ONCE = 8


def outputs_of(run: Run, directory: Path) -> dict[str, str]:
    """Task id -> the directory with its output. What is no longer in S3 is left out: that task runs again.

    Raises StorageUnavailable, StorageDenied.
    """
    if not run.reuses_outputs or run.retry_of is None:
        return {}
    before = run.retry_of
    tasks = list(before.task_runs.filter(status=State.SUCCEEDED))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda numbered: _fetch(before, numbered[1], directory / str(numbered[0])), enumerate(tasks))
        return {task.task_id: str(place) for task, place in zip(tasks, found, strict=True) if place is not None}


def _fetch(run: Run, task: TaskRun, place: Path) -> Path | None:
    names = [kept["name"] for kept in task.artifacts]
    if OUTPUT_NAME not in names or any("/" in name or name in (".", "..") for name in names):
        return None
    place.mkdir()
    try:
        for name in names:
            (place / name).write_bytes(artifacts.read(artifact_key(run, task.task_id, name)))
    except storage.ObjectGone:
        return None
    return place
