"""The files of a run as a zip, as they lie below the local directory: what `dagy runs push` sends."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

from dagy.local import places

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 15 * 1024 * 1024
"""What the server takes."""


def packed(run_id: str, *, artifacts: bool = True) -> bytes:
    """The run's record, its tasks' records, its log (which has theirs), and what its tasks have saved."""
    base, run = places.local_dir(), places.run_dir(run_id)
    kept = base / "artifacts" / run.name
    files = [
        run / "metadata.json",
        run / "run.log",
        *run.glob("task_runs/*/metadata.json"),
        *(kept.glob("*/*") if artifacts else ()),
    ]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for file in sorted(filter(_is_plain, files)):
            archive.write(file, file.relative_to(base).as_posix())
    return buffer.getvalue()


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()
