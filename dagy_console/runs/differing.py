"""What differs between two bundles of code, file by file."""

import difflib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

# More is not read by anybody, and takes long to compare.
_MAX_FILES, _MAX_LINES, _MAX_BYTES, _MAX_SHOWN = 100, 5_000, 500_000, 2_000


@dataclass(frozen=True, slots=True)
class FileDiff:
    """`lines` are those of a unified diff, without its header; `note` says why there are none."""

    path: str
    change: str
    lines: list[str]
    note: str = ""


def differences(before: bytes, after: bytes) -> list[FileDiff]:
    """Every file that was added, removed or changed. Both are zips that were checked (`bundles`)."""
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(io.BytesIO(after)) as new:
        return list(islice(_differences(old, new), _MAX_FILES))


def _differences(old: zipfile.ZipFile, new: zipfile.ZipFile) -> Iterator[FileDiff]:
    earlier, later = ({info.filename: info for info in one.infolist() if not info.is_dir()} for one in (old, new))
    for path in sorted(earlier.keys() | later.keys()):
        was, now = earlier.get(path), later.get(path)
        if was and now and (was.CRC, was.file_size) == (now.CRC, now.file_size):
            continue
        change = "changed" if was and now else "added" if now else "removed"
        if max(info.file_size for info in (was, now) if info) > _MAX_BYTES:
            yield FileDiff(path, change, [], "too large to compare")
            continue
        texts = [_lines(one, path) if info else [] for one, info in ((old, was), (new, now))]
        yield _compared(path, change, *texts)


def _lines(archive: zipfile.ZipFile, path: str) -> list[str] | None:
    """None: no text. What the header says of the size is not believed."""
    with archive.open(path) as file:
        data = file.read(_MAX_BYTES)
    try:
        return None if b"\0" in data else data.decode().splitlines()
    except UnicodeDecodeError:
        return None


def _compared(path: str, change: str, before: list[str] | None, after: list[str] | None) -> FileDiff:
    if before is None or after is None:
        return FileDiff(path, change, [], "no text")
    if len(before) > _MAX_LINES or len(after) > _MAX_LINES:
        return FileDiff(path, change, [], "too long to compare")
    lines = list(islice(difflib.unified_diff(before, after, lineterm="", n=3), 2, _MAX_SHOWN))
    return FileDiff(path, change, lines, "cut: there is more" if len(lines) == _MAX_SHOWN - 2 else "")
