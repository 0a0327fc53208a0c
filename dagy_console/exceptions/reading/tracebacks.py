"""Read the text of a Python traceback back into its exceptions.

The text is what CPython 3.8 to 3.14 prints: frames with or without source and carets, folded recursion, chains,
exception groups, notes, syntax errors, tracebacks of other processes inside a message. It may come damaged: CRLF, lines
joined by ``\\r`` (AWS Lambda) or by a written-out ``\\n`` (JSON in JSON), a logger's prefix before each line, colours,
a part cut out.

Everything runs over lines, each looked at a fixed number of times, so that hostile input costs linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Relation = Literal["cause", "context"]

HEADER = "Traceback (most recent call last):"
GROUP_HEADER = "Exception Group Traceback (most recent call last):"
RELATIONS: dict[str, Relation] = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}
MAX_GROUP_DEPTH = 12

_FRAME_END = re.compile(r"(\d{1,9})(?:,? in (.*))?")
_REPEATED = re.compile(r"  \[Previous line repeated (\d{1,9}) more times?\]\s*")
_TYPE_LINE = re.compile(r"([^\W\d][\w.<>]*)(?::\s.*|:)?", re.DOTALL)
_GROUP_COUNT = re.compile(r" \(\d{1,9} sub-exceptions?\)")
_CHILD = re.compile(r"\+-+ (?:\d+|\.\.\.) -+\s*")
_CLOSE = re.compile(r"\+-{30,}\s*")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LEVEL = re.compile(r"\[[A-Z]+\]\s*")


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a stack; `source` and `carets` are dedented, `repeated` counts the calls folded after this one."""

    file: str
    line: int
    function: str
    source: tuple[str, ...] = ()
    carets: tuple[str, ...] = ()
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class SyntaxLocation:
    """Where the compiler stopped: the broken file, which is not a frame of the stack."""

    file: str
    line: int
    source: str = ""
    caret: str = ""


@dataclass(frozen=True, slots=True)
class ParsedException:
    """One printed exception.

    `type` and `value` are empty where the text was cut before them. `relation` says how it hangs on the exception
    before it. `exceptions` holds the members of an exception group, each a chain of its own with the raised one last;
    `omitted` counts the members that CPython left out. `notes` are given only where they can be told from the message
    (see `with_message`). `language` is whose stack it is.
    """

    type: str
    value: str
    frames: tuple[Frame, ...] = ()
    relation: Relation | None = None
    notes: tuple[str, ...] = ()
    exceptions: tuple[tuple[ParsedException, ...], ...] = ()
    omitted: int = 0
    syntax: SyntaxLocation | None = None
    language: str = "Python"


_Item: TypeAlias = "str | list[list[_Item]]"


def parse(text: str) -> tuple[ParsedException, ...]:
    """Return the exceptions in printed order, the raised one last; () where there is none. Never raises."""
    lines = _clean_lines(text)
    return _Reader(_fold_groups(lines)).read_chain(strict=True) if lines else ()


def with_message(exception: ParsedException, message: str) -> ParsedException:
    """Split notes from a value: they follow the message with no mark, so only who knows the message can."""
    if exception.notes or not message or not exception.value.startswith(message + "\n"):
        return exception
    return replace(exception, value=message, notes=(exception.value[len(message) + 1 :],))


def _clean_lines(text: str) -> list[str]:
    text = _unjoin(text.replace("\r\n", "\n"))
    if "\x1b[" in text and "  File \x1b[" in text:
        text = _COLOUR.sub("", text)
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return _without_prefix(lines)


def _unjoin(text: str) -> str:
    if "\n  " in text:
        return text
    if "\r  " in text:
        return text.replace("\r", "\n")
    if '\\n  File \\"' in text:
        return (
            text.replace("\\\\", "\0").replace("\\n", "\n").replace('\\"', '"').replace("\\t", "\t").replace("\0", "\\")
        )
    if '\\n  File "' in text:
        return text.replace("\\n", "\n")
    return text


def _without_prefix(lines: list[str]) -> list[str]:
    """Drop what a logger wrote before the header, and before each line after it where it did so there, too."""
    for index, line in enumerate(lines):
        column = line.find(HEADER)
        if column < 0 or line[column + len(HEADER) :].strip():
            continue
        column -= len("Exception Group ") if line[:column].endswith("Exception Group ") else 0
        column -= 4 if line[:column].endswith("  + ") else 0
        if column <= 0 or index + 1 == len(lines) or line[:column].strip() == "|":
            return lines
        following = lines[index + 1]
        if following.startswith(("  File ", "  |   File ")):
            return [*lines[:index], line[column:], *lines[index + 1 :]]
        if following[column:].startswith(("  File ", "  |   File ")):
            return [part[column:] for part in lines[index:]]
        return lines
    return lines


def _fold_groups(lines: list[str]) -> list[_Item]:
    """Turn the margins of exception groups into nesting: text lines, and where they stood the members' lines."""
    items: list[_Item] = []
    index = 0
    while index < len(lines):
        if not _opens_group(lines, index):
            items.append(lines[index])
            index += 1
            continue
        start = index
        while index < len(lines) and lines[index].lstrip(" ")[:1] in ("|", "+") and lines[index].startswith("  "):
            index += 1
        items.extend(_unbar([line[2:] for line in lines[start:index]], depth=1))
    return items


def _opens_group(lines: list[str], index: int) -> bool:
    line = lines[index]
    if line.startswith("  + " + GROUP_HEADER):
        return True
    follows_nothing = index == 0 or (index > 1 and lines[index - 2].rstrip() in RELATIONS)
    return follows_nothing and line.startswith("  | ")


def _unbar(lines: list[str], *, depth: int) -> list[_Item]:
    items: list[_Item] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line.startswith("+-+-"):
            items.append(line[2:] if line.startswith(("| ", "+ ")) else line.removeprefix("|"))
            index += 1
            continue
        index += 1
        start = index
        while index < len(lines) and lines[index].startswith("  "):
            index += 1
        items.append(_split_children([line[2:] for line in lines[start:index]], depth=depth + 1))
    return items


def _split_children(lines: list[str], *, depth: int) -> list[list[_Item]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("+-") and _CHILD.fullmatch(line):
            blocks.append([])
        elif not (line.startswith("+-") and _CLOSE.fullmatch(line)):
            blocks[-1].append(line)
    if depth > MAX_GROUP_DEPTH:
        return [[*block] for block in blocks]
    return [_unbar(block, depth=depth) for block in blocks]


class _Reader:
    """Walks the items once, front to back. The lists of positions make every look ahead a binary search."""

    def __init__(self, items: list[_Item]) -> None:
        self.items = items
        self.position = 0
        texts = [item if isinstance(item, str) else "" for item in items]
        self.texts = texts
        self.headers = [i for i, text in enumerate(texts) if text.rstrip() in (HEADER, GROUP_HEADER)]
        self.stack_lines = [i for i, text in enumerate(texts) if text.startswith('  File "')]
        self.separators = [i for i, text in enumerate(texts) if text and self._separates(i)]
        self.quotes = [i for i, text in enumerate(texts) if text == '"""' and self._ends_here(i + 1)]

    def read_chain(self, *, strict: bool) -> tuple[ParsedException, ...]:
        """Read all; `strict` refuses a text that is neither a stack nor a line that names a type."""
        strict = strict and not self.separators
        found: list[ParsedException] = []
        relation: Relation | None = None
        while self.position < len(self.items):
            exception = self._read_exception(relation, strict=strict)
            if exception is not None:
                found.append(exception)
            if self.position < len(self.items):
                relation = RELATIONS[self.texts[self.position].rstrip()]
                self.position += 1
        return tuple(found)

    def _separates(self, index: int) -> bool:
        if self.texts[index].rstrip() not in RELATIONS or self.texts[index + 1 : index + 2] not in ([""], []):
            return False
        follower = self.texts[index + 2] if index + 2 < len(self.texts) else ""
        return follower.startswith((HEADER, GROUP_HEADER, '  File "')) or _names_a_type(follower)

    def _ends_here(self, index: int) -> bool:
        rest = self.texts[index : index + 2]
        return not any(rest) or (len(rest) == 2 and not rest[0] and rest[1].rstrip() in RELATIONS)

    def _next(self, positions: list[int], start: int) -> int:
        index = bisect_left(positions, start)
        return positions[index] if index < len(positions) else len(self.items)

    def _read_exception(self, relation: Relation | None, *, strict: bool) -> ParsedException | None:
        """Read up to the next separator, and leave the position on it."""
        while self.position < len(self.items) and not self.texts[self.position].strip():
            self.position += 1
        start = self.position
        end = self._next(self.separators, start)
        if start == len(self.items):
            return None
        first = self.texts[start]
        remote = self.texts[start + 1 : start + 2] == ['"""'] and _names_a_type(first)
        header = self._next(self.headers, start)
        stack = self._next(self.stack_lines, start)
        if remote or (header >= end and (stack >= end or _names_a_type(first))):
            if strict and not remote and not _names_a_type(first):
                self.position = len(self.items)
                return None
            return self._read_tail(relation, (), None)
        self.position = header + 1 if header < end else stack
        frames, syntax = self._read_frames(end)
        ahead = self.texts[header - 1] if start < header < end else ""
        return self._read_tail(relation, frames, syntax, ahead=ahead)

    def _read_frames(self, end: int) -> tuple[tuple[Frame, ...], SyntaxLocation | None]:
        frames: list[Frame] = []
        syntax: SyntaxLocation | None = None
        while self.position < end and isinstance(self.items[self.position], str):
            line = self.texts[self.position]
            if not line.startswith("  "):
                resumed = self._after_gap(end)
                if resumed is None:
                    break
                self.position = resumed
                continue
            self.position += 1
            place = _parse_place(line)
            if place is not None:
                source, carets = self._read_source(end)
                file, number, function = place
                if function is None:
                    syntax = SyntaxLocation(file, number, "\n".join(source), "\n".join(carets))
                else:
                    frames.append(Frame(file, number, function, source, carets))
            elif frames and (match := _REPEATED.fullmatch(line)):
                frames[-1] = replace(frames[-1], repeated=int(match[1]))
        return tuple(frames), syntax

    def _after_gap(self, end: int) -> int | None:
        """Where the stack goes on behind a blank line, or behind the mark of a cut; None where it has ended."""
        line = self.texts[self.position]
        following = self._next(self.stack_lines, self.position)
        if following >= end:
            return None
        if line.strip():
            return following if line.startswith(("[", "…", "...")) else None
        return following if following == self.position + 1 else None

    def _read_source(self, end: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        source: list[str] = []
        carets: list[str] = []
        while self.position < end and self.texts[self.position].startswith("    "):
            line = self.texts[self.position][4:]
            self.position += 1
            if source and line and not line.strip(" ~^"):
                carets += [""] * (len(source) - 1 - len(carets)) + [line.rstrip()]
            else:
                source.append(line)
        return tuple(source), tuple(carets)

    def _read_tail(
        self, relation: Relation | None, frames: tuple[Frame, ...], syntax: SyntaxLocation | None, *, ahead: str = ""
    ) -> ParsedException:
        """Read type, message and group members; the position stands on the line that names the type."""
        start = self.position
        self._skip_quoted(start)
        end = self._next(self.separators, self.position)
        members: tuple[tuple[ParsedException, ...], ...] = ()
        omitted = 0
        stop = next((i for i in range(start, end) if not isinstance(self.items[i], str)), end)
        if stop < end:
            members, omitted = _read_members(self.items[stop])
        lines = self.texts[start:stop]
        if stop == end < len(self.items) and lines and not lines[-1]:
            lines.pop()
        self.position = end
        if not any(lines):
            lines = [_LEVEL.sub("", ahead, count=1)] if _names_a_type(_LEVEL.sub("", ahead, count=1)) else [""]
        kind, value = _split_type("\n".join(lines))
        value, notes = _split_group_notes(value) if members else (value, ())
        return ParsedException(kind, value, frames, relation, notes, members, omitted, syntax)

    def _skip_quoted(self, start: int) -> None:
        if self.texts[start + 1 : start + 2] == ['"""']:
            closing = self._next(self.quotes, start + 2)
            self.position = closing if closing < len(self.items) else start


def _read_members(children: _Item) -> tuple[tuple[tuple[ParsedException, ...], ...], int]:
    members: list[tuple[ParsedException, ...]] = []
    omitted = 0
    for block in children:
        first = block[0] if block and isinstance(block[0], str) else ""
        words = first.split(" ", 2)
        if len(block) == 1 and words[0] == "and" and words[1:2] and words[1].isdecimal():
            omitted += int(words[1][:9])
        elif chain := _Reader(list(block)).read_chain(strict=False):
            members.append(chain)
    return tuple(members), omitted


def _parse_place(line: str) -> tuple[str, int, str | None] | None:
    if not line.startswith('  File "'):
        return None
    file, found, rest = line[8:].rpartition('", line ')
    match = _FRAME_END.fullmatch(rest) if found else None
    if match is None:
        return None
    return file, int(match[1]), match[2]


def _names_a_type(line: str) -> bool:
    """Whether a line outside a stack looks like `package.SomeError: message`, and not like prose or a log line."""
    match = _TYPE_LINE.fullmatch(line)
    if match is None:
        return False
    head, _, last = match[1].rpartition(".")
    return bool(last) and (last[0].isupper() or last[0] == "_" or bool(head))


def _split_type(text: str) -> tuple[str, str]:
    first_line = text.partition("\n")[0]
    kind, found, _ = first_line.partition(": ")
    if found:
        return kind, text[len(kind) + 2 :]
    if first_line.endswith(":") and len(first_line) < len(text):
        return first_line[:-1], text[len(first_line) :]
    return first_line.removesuffix(":"), text[len(first_line) + 1 :]


def _split_group_notes(value: str) -> tuple[str, tuple[str, ...]]:
    """A group's message ends with its count of members, so that what follows are notes."""
    end = max((match.end() for match in _GROUP_COUNT.finditer(value)), default=len(value))
    notes = value[end:].removeprefix("\n")
    return value[:end], (notes,) if notes else ()
