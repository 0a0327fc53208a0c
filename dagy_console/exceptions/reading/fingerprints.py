"""Give traces of the same bug the same short name. Version 1.

What counts: the exception's type, the innermost five distinct frames of the application (module and function; no line
numbers, so that an edit above does not split a group), the type of the root cause, and the members of an exception
group. Library frames count only where there is nothing else, and the message only where there is no frame at all:
messages hold ids and translations, and grouping by them splits one bug and merges others.

A change of any rule here regroups stored traces: it needs a new VERSION.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from dagy_console.exceptions.reading.foreign import LIBRARY as _FOREIGN_LIBRARY
from dagy_console.exceptions.reading.stacks import parse
from dagy_console.exceptions.reading.tracebacks import Frame, ParsedException

VERSION = 1
MAX_TEXT = 256 * 1024
MAX_MESSAGE = 1024
APPLICATION_FRAMES = 5
LIBRARY_FRAMES = 3
MAX_TITLE = 160
MAX_GROUP_DEPTH = 5
MAX_PATH = 1000

# Python renamed these, so that one bug would change its group with the interpreter.
RENAMED_TYPES = {
    "re.error": "re.PatternError",
    "socket.timeout": "TimeoutError",
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "concurrent.futures._base.TimeoutError": "TimeoutError",
}

_LIBRARY = re.compile(
    r".*/(?:site-packages|dist-packages)/|.*/lib(?:64)?/(?:python|pypy)\d[\d.]*/|.*/python\d+/lib/|.*/python\d+\.zip/"
    r"|/var/runtime/|/var/lang/|<(?:frozen |decorator-gen|makefun-gen|attrs generated|__array_function__)",
    re.IGNORECASE,
)
_ROOT = re.compile(
    r"(?:[A-Za-z]:)?(?:/srv/app/|/var/task/|/usr/src/app/|/app/|/code/|/workspace/|/opt/app/|/tmp/[^/]+/|"
    r"/var/folders/[^/]+/[^/]+/T/[^/]+/|/(?:home|Users)/[^/]+/|/root/)"
)
_VERSION_DIRECTORY = re.compile(r"v?\d+(?:[._-]\d+)*|(?=[0-9a-f-]*\d)[0-9a-f-]{7,}|releases|current", re.IGNORECASE)
_GENERATED_NAMES = frozenset(("<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>"))
_NUMBERS = re.compile(r"\d+")

_QUOTED = re.compile(r"""(?<!\w)'[^'\n]*'|"[^"\n]*"|`[^`\n]*`|«[^»\n]*»|“[^”\n]*”""")
_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*")
_WORD = re.compile(r"(?<!\w)[-+]?\w+(?:[-.]\w+|(?<=\d):(?=\d)\w+)*")
_SHAPES = (
    ("<uuid>", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)),
    ("<date>", re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d.*)?|\d\d:\d\d(?::\d\d.*)?|\d{4}-\d\d-\d\dT.*")),
    ("<ip>", re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?")),
    ("<number>", re.compile(r"[-+]?\d+(?:[._]\d+)*(?:e[-+]?\d+)?", re.IGNORECASE)),
    ("<hex>", re.compile(r"0x[0-9a-f]+|[0-9a-f]{7,}", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`value` is 12 lower-case hexadecimal characters; `canonical` is the text that was hashed: why a group is one.
    `title` is what people call it: the type, and where it was raised or else what it says."""

    value: str
    canonical: str
    title: str


def fingerprint(exception_type: str, message: str, traceback: str) -> Fingerprint:
    """Name the group of a trace. All three may be empty; the traceback's own type wins over `exception_type`."""
    chain = parse(cut_middle(traceback, MAX_TEXT))
    canonical = _canonical(chain, exception_type, message)
    digest = hashlib.sha256(f"v{VERSION}\n{canonical}".encode("utf-8", "surrogatepass")).hexdigest()
    return Fingerprint(digest[:12], canonical, _title(chain, exception_type, message))


def _title(chain: tuple[ParsedException, ...], exception_type: str, message: str) -> str:
    """ "IntegrityError · trigger_run": the innermost frame that counts, or the message where there is none."""
    raised = chain[-1] if chain else ParsedException(exception_type, message)
    name = _type_name(raised.type or exception_type).rsplit(".", 1)[-1] or "Unknown exception"
    frames = _telling_frames(raised.frames)
    where = frames[-1].rsplit(" ", 1)[-1] if frames else parametrize(raised.value or message)
    return f"{name} · {where}"[:MAX_TITLE] if where else name


def cut_middle(text: str, limit: int) -> str:
    """Keep head and tail, cut at line ends where there are any: CPython prints the raised exception last."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    return f"{head}[cut]\n{tail}"


def is_library(file: str) -> bool:
    """Whether a frame's file belongs to an installed package, to Python itself or to the platform."""
    path = file[-MAX_PATH:].replace("\\", "/")
    return _LIBRARY.match(path) is not None or _FOREIGN_LIBRARY.match(path) is not None


def module_name(file: str) -> str:
    """A path without what changes between machines and releases: at most its last three parts, without `.py`."""
    return _module_name(file[-MAX_PATH:])


@lru_cache(maxsize=4096)
def _module_name(file: str) -> str:
    path = file.replace("\\", "/")
    if path.startswith("<"):
        return _NUMBERS.sub("N", path[:100])
    found = _LIBRARY.match(path) or _ROOT.match(path)
    parts = path[found.end() if found else 0 :].removesuffix(".py").split("/")
    kept = [part for part in parts[:-1] if part not in ("", ".") and not _VERSION_DIRECTORY.fullmatch(part)]
    return "/".join([*kept[-2:], parts[-1]])


def parametrize(message: str) -> str:
    """The first line of a message, cut to 1 kB, with what differs between occurrences replaced by its kind."""
    line = next((part for part in message[:MAX_MESSAGE].split("\n") if part.strip()), "").strip()
    return _WORD.sub(_name_word, _ADDRESS.sub("<email>", _QUOTED.sub("<text>", line)))


def _name_word(match: re.Match[str]) -> str:
    word = match[0]
    if not any(character.isdecimal() for character in word):
        return word
    return next((name for name, shape in _SHAPES if shape.fullmatch(word)), "<id>")


def _canonical(chain: tuple[ParsedException, ...], exception_type: str = "", message: str = "", depth: int = 0) -> str:
    raised = chain[-1] if chain else ParsedException(exception_type, message)
    lines = [f"type {_type_name(raised.type or exception_type)}"]
    frames = _telling_frames(raised.frames)
    lines += [f"frame {frame}" for frame in frames]
    if raised.syntax is not None:
        lines.append(f"syntax {module_name(raised.syntax.file)}")
    elif not raised.exceptions and (not frames or _are_nameless(raised, frames)):
        lines.append(f"message {parametrize(raised.value or message)}")
    if len(chain) > 1:
        lines.append(f"root {_type_name(chain[0].type)}")
    if depth < MAX_GROUP_DEPTH:
        members = {_canonical(member, depth=depth + 1) for member in raised.exceptions}
        lines += ["member " + member.replace("\n", "\n  ") for member in sorted(members)]
    return "\n".join(lines)


def _are_nameless(raised: ParsedException, frames: list[str]) -> bool:
    """Calls at the top of a JavaScript module, and of functions without a name, tell no bugs of one file apart."""
    return raised.language == "JavaScript" and all(frame.endswith("<anonymous>") for frame in frames)


def _type_name(name: str) -> str:
    name = name.strip()[:300].removeprefix("builtins.").removeprefix("__main__.")
    return RENAMED_TYPES.get(name, name)


def _telling_frames(frames: tuple[Frame, ...]) -> list[str]:
    application = [frame for frame in frames if not is_library(frame.file)]
    named = [frame for frame in application if frame.function not in _GENERATED_NAMES]
    if named or application:
        return _distinct(named or application)[-APPLICATION_FRAMES:]
    return _distinct(frames)[-LIBRARY_FRAMES:]


def _distinct(frames: Iterable[Frame]) -> list[str]:
    """Each place once, in the order of its first call, so that recursion of any depth looks the same."""
    return list(dict.fromkeys(f"{module_name(frame.file)} {frame.function}" for frame in frames))
