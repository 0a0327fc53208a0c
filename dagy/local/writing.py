"""Files that are replaced whole: whoever reads one, reads what was written at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)


def replace(path: str, data: bytes) -> None:
    replace_by_pieces(path, (data,))


def replace_by_pieces(path: str, pieces: Iterable[bytes]) -> None:
    """Write to a file beside it, for its owner alone, and rename that. Raises OSError, and leaves the old one then."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        for piece in pieces:
            _write_all(descriptor, piece)
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
