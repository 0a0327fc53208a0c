"""Where local runs lie: below `DAGY_LOCAL_DIR`, or `~/.dagy`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dagy.errors import RunNotFound

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


def base() -> str:
    """The local directory, as a text: a list of runs is printed before `pathlib` would be loaded."""
    named = os.environ.get("DAGY_LOCAL_DIR", "").strip()
    return os.path.abspath(os.path.expanduser(named or "~/.dagy"))  # noqa: PTH100, PTH111


def local_dir() -> Path:
    from pathlib import Path

    return Path(base())


def run_dir(run_id: str) -> Path:
    return local_dir() / "runs" / checked_id(run_id)


def task_dir(run_id: str, task_id: str) -> Path:
    return run_dir(run_id) / "task_runs" / checked_id(task_id)


def artifacts_dir(run_id: str, task_id: str) -> Path:
    return local_dir() / "artifacts" / checked_id(run_id) / checked_id(task_id)


def checked_id(text: str) -> str:
    """An id as it may stand in a path. Raises RunNotFound for what could leave the directory."""
    if not _ID.fullmatch(text):
        raise RunNotFound(f"{text[:80]!r} is no id of a run or task: letters, digits, '.', '_' and '-' only.")
    return text
