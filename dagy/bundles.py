"""A flow's code as a zip: the directory of its file, the same bytes for the same code."""

from __future__ import annotations

import hashlib
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagy.artifacts import described_size
from dagy.errors import FlowLoadError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 50 * 1024 * 1024  # before it is packed; the server takes 10 MB of zip
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist"})
_LEFT_OUT_SUFFIXES = (".pyc", ".pyo", ".egg-info", ".so.dbg")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Bundle(NamedTuple):
    data: bytes
    sha256: str
    entrypoint: str
    """`file.py:function`, the file as it is called in the zip."""
    files: int


def bundle_of(path: Path, function: str) -> Bundle:
    """The directory of a flow's file, without what is hidden (`.git`, `.venv`, `.env`), caches, and symbolic links.

    Raises FlowLoadError where it is larger than 50 MB.
    """
    directory = path.resolve().parent
    buffer = BytesIO()
    total = count = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _files(directory):
            total += file.stat().st_size
            if total > MAX_BYTES:
                raise FlowLoadError(
                    f"{directory} has more than {described_size(MAX_BYTES)} of files: keep the flow in a directory "
                    "of its own, and data out of it."
                )
            info = zipfile.ZipInfo(file.relative_to(directory).as_posix(), _EPOCH)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes())
            count += 1
    data = buffer.getvalue()
    return Bundle(data, hashlib.sha256(data).hexdigest(), f"{path.name}:{function}", count)


def _files(directory: Path) -> Iterator[Path]:
    for where, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if _is_kept(name))
        for name in sorted(names):
            file = Path(where, name)
            if _is_kept(name) and file.is_file() and not file.is_symlink():
                yield file


def _is_kept(name: str) -> bool:
    return not (name.startswith(".") or name in _LEFT_OUT or name.endswith(_LEFT_OUT_SUFFIXES))
