"""Files that tasks leave behind: anything that isn't JSON."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from dagy.errors import ArtifactSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dagy.records import ArtifactRecord

OUTPUT_NAME = "output.json"
_NAME = re.compile(r"[^/\\\0]{1,200}")


class LocalArtifact:
    """A file that a task returns, alone or inside its output, or saves by `RunContext.artifacts`.

    Give `path` (a file; it is copied) or `data` (bytes, or a text for UTF-8). `name` is the file's name in the run's
    artifacts; a path has one already. Once it is stored, `path` says where its copy lies. Larger than
    `DAGY_LOCAL_ARTIFACT_MAX_BYTES`, it is refused.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        data: bytes | str | None = None,
        name: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if (path is None) == (data is None):
            raise ValueError("A LocalArtifact takes either path= (a file) or data= (bytes or a text).")
        self.path = None if path is None else os.fspath(path)
        self.data = data.encode() if isinstance(data, str) else data
        self.name = checked_name(name or (os.path.basename(self.path) if self.path else _default_name(data)))
        self.content_type = content_type or _guessed_type(self.name)

    def read_bytes(self) -> bytes:
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        if self.data is not None:
            yield self.data
            return
        assert self.path is not None
        with open(self.path, "rb") as file:
            while piece := file.read(1 << 20):
                yield piece

    @property
    def size_bytes(self) -> int:
        return len(self.data) if self.data is not None else os.stat(self.path or "").st_size

    def __repr__(self) -> str:
        return f"LocalArtifact(name={self.name!r}, content_type={self.content_type!r})"


class Artifacts:
    """The artifacts of a task run that goes on: `RunContext.artifacts`."""

    def __init__(self, store: Callable[[LocalArtifact], ArtifactRecord]) -> None:
        self._store = store

    def save(
        self,
        name: str,
        data: bytes | str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        content_type: str | None = None,
    ) -> LocalArtifact:
        """Keep a file at once, whether the task succeeds or not. The same name again replaces it."""
        artifact = LocalArtifact(path, data=data, name=name, content_type=content_type)
        self._store(artifact)
        return artifact


def stand_in(artifact: ArtifactRecord) -> dict[str, Any]:
    """What an artifact is in the JSON of an output."""
    return {"dagy_artifact": artifact["name"], **{k: v for k, v in artifact.items() if k != "name"}}


def checked_name(name: str) -> str:
    if name in (".", "..", OUTPUT_NAME) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} can't be an artifact's name: it is a file's name, without '/', "
            f"of 200 characters at most, and not {OUTPUT_NAME!r}."
        )
    return name


def checked_size(task_id: str, artifact: LocalArtifact, name: str, most: int, advice: str = "") -> int:
    """Raises ArtifactSerializationError, and OSError where its file can't be looked at."""
    size = artifact.size_bytes
    if size > most:
        raise ArtifactSerializationError(
            f"Artifact {name!r} of task {task_id!r} has {described_size(size)}, more than {described_size(most)}: "
            f"store it elsewhere and return its address{advice}.",
            task_id=task_id,
        )
    return size


def described_size(size: int) -> str:
    for unit, factor in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _default_name(data: bytes | str | None) -> str:
    return "artifact.txt" if isinstance(data, str) else "artifact.bin"


def _guessed_type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"
