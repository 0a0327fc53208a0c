"""Tracebacks as CPython 3.11 prints them, put together from frames."""

from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "Traceback (most recent call last):"
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"

_PLACES = {
    "lib:": "/srv/app/.venv/lib/python3.11/site-packages/",
    "py:": "/usr/local/lib/python3.11/",
}
_MESSAGE = "{message}"


@dataclass(frozen=True, slots=True)
class Call:
    """A frame. `file` is below /srv/app, `lib:` names an installed package's, `py:` the standard library's.

    `mark` is the part of `source` that carets underline; of `name[key]` the brackets get them and the name gets tildes.
    """

    file: str
    line: int
    function: str
    source: str = ""
    mark: str = ""


def raised(calls: Sequence[Call], end: str = "", *, type_name: str = "") -> str:
    """One exception: its frames, then `end`, or `type_name` with the trace's message where that is given."""
    return "\n".join([HEADER, *map(_printed, calls), end or f"{type_name}: {_MESSAGE}"])


def chained(first: str, relation: str, second: str) -> str:
    """`first` is printed before `second`, with CPython's sentence between them."""
    return f"{first}\n\n{relation}\n\n{second}"


def grouped(calls: Sequence[Call], end: str, members: Sequence[str]) -> str:
    """An exception group: its own frames, `end` as its last line, and the text of each member."""
    head = ["Exception Group " + HEADER, *map(_printed, calls), end]
    lines = [f"  {'+' if not index else '|'} {line}" for index, line in enumerate("\n".join(head).split("\n"))]
    for number, member in enumerate(members, 1):
        margin = "  +-+" if number == 1 else "    +"
        lines.append(f"{margin}---------------- {number} ----------------")
        lines += [f"    | {line}" for line in member.split("\n")]
    return "\n".join([*lines, "    +------------------------------------"])


def with_message(text: str, message: str) -> str:
    """The finished text, ending in a newline, as `traceback.format_exception` gives it."""
    return text.replace(_MESSAGE, message) + "\n"


def _printed(call: Call) -> str:
    place = next((name for name in _PLACES if call.file.startswith(name)), "")
    file = _PLACES.get(place, "/srv/app/") + call.file.removeprefix(place)
    if call.file.startswith("<"):
        file = call.file
    lines = [f'  File "{file}", line {call.line}, in {call.function}']
    if call.source:
        lines.append(f"    {call.source}")
    if call.mark:
        lines.append(" " * (4 + call.source.index(call.mark)) + _carets(call.mark))
    return "\n".join(lines)


def _carets(mark: str) -> str:
    if mark.endswith("]") and "[" in mark:
        start = mark.rindex("[")
        return "~" * start + "^" * (len(mark) - start)
    return "^" * len(mark)
