"""The files of a local run, as `dagy runs push` packs them, read: a stranger's, believed only in a form that is known.

In the zip they lie as below `DAGY_LOCAL_DIR`: `runs/<run_id>/metadata.json`, `runs/<run_id>/run.log`,
`runs/<run_id>/task_runs/<task_id>/metadata.json`, `artifacts/<run_id>/<task_id>/<name>`.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagy.local.reading import entries_of
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import storable
from dagy_console.runs.journal import plain
from dagy_console.runs.models import RunStatus

_ENDED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
_MAX_RECORD = 20 << 20


@dataclass(frozen=True, slots=True)
class PushedRun:
    run_id: uuid.UUID
    flow: str
    status: RunStatus
    record: dict[str, Any]
    """See `dagy.records.RunRecord`; only the fields above are known to be right."""
    directory: Path

    @property
    def tasks(self) -> Iterator[dict[str, Any]]:
        """What `messages` tell of the run's tasks."""
        files = self._runs.glob("task_runs/*/metadata.json")
        for record in map(_json, files):
            if record is not None:
                yield {"kind": "task", "record": record}

    @property
    def messages(self) -> Iterator[dict[str, Any]]:
        """As a run's process would have told of it; see `dagy.child`."""
        yield from self.tasks
        for entry in entries_of(self._log):
            task_id = None if entry.source == "-" else entry.source
            yield {
                "kind": "log",
                "time": entry.time,
                "level": entry.level,
                "task_id": task_id,
                "message": entry.message,
            }
        yield {"kind": "run", "record": self.record}

    def artifact(self, task_id: str, name: str) -> bytes | None:
        """None where it was not sent."""
        with suppress(OSError):
            return (self.directory / "artifacts" / str(self.run_id) / Path(task_id).name / Path(name).name).read_bytes()
        return None

    @property
    def _runs(self) -> Path:
        return self.directory / "runs" / str(self.run_id)

    @property
    def _log(self) -> str:
        try:
            return (self._runs / "run.log").read_text("utf-8", "replace")
        except OSError:
            return ""


def read(directory: Path) -> PushedRun:
    """Of an archive that was unpacked there. Raises Invalid: there is no run in it, or it has not ended."""
    records = list(directory.glob("runs/*/metadata.json"))
    record = _json(records[0]) if len(records) == 1 else None
    if record is None:
        raise Invalid.field("body", "has no record of a run, or of several: send what `dagy runs push` makes")
    run_id, flow, status = record.get("run_id"), record.get("flow"), record.get("status")
    name = flow.get("name") if isinstance(flow, dict) else None
    if not isinstance(run_id, str) or run_id != records[0].parent.name or not _is_uuid(run_id):
        raise Invalid.field("body", "has a run whose id is none, or not that of its directory")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or storable(name, 200) != name:
        raise Invalid.field("body", "has a run whose flow has no name, or one that can't be kept")
    if status not in _ENDED:
        raise Invalid.field("body", f"has a run that has not ended: {str(status)[:20]}")
    return PushedRun(uuid.UUID(run_id), name.strip(), RunStatus(status), plain(record), directory)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= _MAX_RECORD else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
