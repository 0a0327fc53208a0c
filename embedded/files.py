"""Small files that must never be half written or readable by others."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from embedded.errors import EmbeddedError

NEEDED_BYTES = 500 * 1024 * 1024
LARGEST_LOG_BYTES = 5 * 1024 * 1024


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON with mode 0600, whole or not at all."""
    write_private(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; an empty one where there is no such file. Raises EmbeddedError where it is not JSON."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise EmbeddedError(
            f"{path} is not valid JSON ({error}): correct it, or remove it to have a new one."
        ) from None
    if not isinstance(value, dict):
        raise EmbeddedError(f"{path} does not hold a JSON object: remove it to have a new one.")
    return value


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """Take the lock file `path` without waiting: its file descriptor, or None where another process holds it.

    The lock ends with the process, however that ends; children do not inherit it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def require_free_space(directory: Path) -> None:
    """Raise EmbeddedError where the file system of `directory` has less than 500 MB free."""
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise EmbeddedError(
            f"Only {free // 1024**2} MB are free on the disk of {directory}, {NEEDED_BYTES // 1024**2} MB are needed: "
            "free some space and start again. Nothing was started, no data was lost."
        )


def rotate(log: Path) -> None:
    """Copy a log that has grown past 5 MB to `<name>.1`, over an older one, and empty it: whoever writes it goes on.

    What is written between the two is lost, a line at the most.
    """
    if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def last_line(log: Path) -> str:
    """The last line of a log that is not empty, at most 300 characters; an empty string where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    return next((line[:300] for line in reversed(lines) if line), "")
