"""Tracebacks as CPython 3.11 prints them, from the short form that data/frames.toml describes."""

import re

from dagy_console.demo.data import load

_HEADER = "Traceback (most recent call last):\n"
_BETWEEN = {
    "-- cause\n": "\nThe above exception was the direct cause of the following exception:\n\n",
    "-- context\n": "\nDuring handling of the above exception, another exception occurred:\n\n",
}
_PLACES = {"lib:": "/srv/app/.venv/lib/python3.11/site-packages/", "py:": "/usr/local/lib/python3.11/", "<": "<"}
_STRETCH = re.compile(r"^@(\w+)(?: x(\d+))?\n", re.MULTILINE)
_RELATION = re.compile(r"^(-- (?:cause|context)\n)", re.MULTILINE)
_FRAME = re.compile(r"^(lib:|py:|<|)(\S+\.py|frozen \S+>):(\d+) (\S+)$", re.MULTILINE)
_MARKED = re.compile(r"^(    .*)«(.+)»(.*)$", re.MULTILINE)
_STRETCHES: dict[str, str] = load("frames")


def expand(text: str) -> str:
    """The whole traceback, ending in a newline; text without a frame comes back as it is."""
    whole = _with_stretches(text)
    own, *members = [_chain(part) for part in whole.split("-- member\n")]
    return _grouped(own, members) if members else own


def _with_stretches(text: str) -> str:
    return _STRETCH.sub(lambda found: _with_stretches(_STRETCHES[found[1]]) * int(found[2] or 1), text)


def _chain(text: str) -> str:
    return "".join(_BETWEEN.get(part) or _one(part) for part in _RELATION.split(text))


def _one(text: str) -> str:
    printed, frames = _FRAME.subn(
        lambda found: f'  File "{_PLACES.get(found[1], "/srv/app/")}{found[2]}", line {found[3]}, in {found[4]}', text
    )
    return (_HEADER if frames else "") + _MARKED.sub(_with_carets, printed)


def _with_carets(found: re.Match[str]) -> str:
    before, mark, after = found.groups()
    tildes = mark.index("[") if mark.endswith("]") and "[" in mark else 0
    return f"{before}{mark}{after}\n{' ' * len(before)}{'~' * tildes}{'^' * (len(mark) - tildes)}"


def _grouped(own: str, members: list[str]) -> str:
    head = f"Exception Group {own}".splitlines()
    lines = [f"  {'|' if index else '+'} {line}" for index, line in enumerate(head)]
    for number, member in enumerate(members, 1):
        lines.append(f"{'    +' if number > 1 else '  +-+'}---------------- {number} ----------------")
        lines += [f"    | {line}" for line in member.splitlines()]
    return "\n".join([*lines, "    +------------------------------------"]) + "\n"
