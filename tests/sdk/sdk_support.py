"""What the tests of the SDK share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dagy.results import RunResult

ROOT = Path(__file__).parents[2]


def statuses(result: RunResult) -> dict[str, str]:
    return {task_id: task_run.status.value for task_id, task_run in result.task_runs.items()}


def the_run(local_dir: Path) -> Path:
    """The directory of the only run."""
    (run,) = (local_dir / "runs").iterdir()
    return run


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metadata.json").read_text())


def task_record(run: Path, task_id: str) -> dict[str, Any]:
    return json.loads((run / "task_runs" / task_id / "metadata.json").read_text())


def script(tmp_path: Path, code: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text(code)
    return path


def start(path: Path, **options: Any) -> subprocess.Popen[str]:
    """A process of its own, in a group of its own, that runs a script with this checkout's SDK."""
    return subprocess.Popen(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def wait_until(condition: Any, seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{condition} did not come true in {seconds} s")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    os.kill(process.pid, number)
    process.wait(10)
