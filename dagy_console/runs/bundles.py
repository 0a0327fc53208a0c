"""Bundles: zips of customers' code. They are strangers' files: nothing in them is trusted, least of all their names."""

import hashlib
import io
import stat
import zipfile
from pathlib import Path, PurePosixPath

from dagy_console.core.errors import Invalid

MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_FILES = 5_000
_PIECE = 1 << 20


def checked(data: bytes, sha256: str, entrypoint: str) -> None:
    """Raises Invalid: it is not safe (`checked_archive`), or the entrypoint is not in it."""
    names = checked_archive(data, sha256)
    path, _, function = entrypoint.partition(":")
    if not function.isidentifier() or path not in names:
        raise Invalid.field("entrypoint", "must be a file in the bundle and a name in it, such as flows.py:nightly")


def checked_archive(data: bytes, sha256: str) -> set[str]:
    """The names in a zip. Raises Invalid: what was sent is not what the checksum says, is no zip, has a name that
    leaves the directory, a link, or too much."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise Invalid.field("sha256", f"is not that of the body, which is {found}: send the bundle again")
    with _opened(data) as archive:
        members = archive.infolist()
        _check_size(members)
        for member in members:
            _check_member(member)
    return {member.filename for member in members}


def unpack(data: bytes, directory: Path) -> None:
    """Into an empty directory. What a header says of a size is not believed: Invalid where there is more."""
    left = MAX_UNPACKED_BYTES
    with _opened(data) as archive:
        for member in archive.infolist():
            _check_member(member)
            target = directory / member.filename
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            left = _copy(archive, member, target, left)


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    try:
        with archive.open(member) as source, target.open("xb") as copy:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise _too_large()
                copy.write(piece)
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        FileExistsError,
        NotADirectoryError,
    ) as error:
        raise Invalid.field("body", f"{member.filename[:100]!r} in the bundle can't be unpacked: {error}") from None
    return left


def _opened(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise Invalid.field("body", "is no zip: send what `dagy deploy` or `dagy runs push` makes") from None


def _check_size(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise Invalid.field("body", f"has {len(members):,} files; {MAX_FILES:,} are allowed")
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise _too_large()


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":" or "\0" in name
    if leaves or not path.parts or len(name) > 500:
        raise Invalid.field(
            "body", f"has a file named {name[:100]!r}, which may lie outside: only plain relative paths"
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Invalid.field("body", f"has {name[:100]!r}, which is no plain file (a link?)")
    if member.flag_bits & 0x1:
        raise Invalid.field("body", f"has {name[:100]!r}, which is encrypted")


def _too_large() -> Invalid:
    return Invalid.field("body", f"unpacks to more than {MAX_UNPACKED_BYTES // 1024 // 1024} MB: leave data out of it")
