"""Files that are replaced whole: whoever reads one, reads what was written at once."""

from __future__ import annotations

import os

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)


def replace(path: str, data: bytes) -> None:
    """Write to a file beside it, for its owner alone, and rename that. Raises OSError, and leaves the old one then."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        _write_all(descriptor, data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])
