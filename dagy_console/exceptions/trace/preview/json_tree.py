"""The body as a tree of bounded size, read in one pass over the bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dagy_console.core.visible import visible
from dagy_console.exceptions.reading.json_scan import Cursor, ScanError, read_string, skip_rest, skip_space, skip_value

MAX_CHILDREN = 200
MAX_NODES = 5_000
MAX_DEPTH = 30
MAX_STRING = 2_000
MAX_TEXT = 1_000_000
MAX_COUNTED = 10_000

_NAME = re.compile(r"[A-Za-z_]\w*")
_KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null"}
_NOT_JSON = (b"NaN", b"Infinity", b"-Infinity")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """One value. `kind` is object, array, string, number, boolean or null; `preview` is the value as text, shortened.

    `path` is how to reach it (`$.event.headers["x-a"]`). `count` is the number of members or items, as far as they were
    counted; `cut` says what is not shown, or is empty.
    """

    key: str
    kind: str
    preview: str
    path: str
    count: int = 0
    children: tuple[Node, ...] = ()
    cut: str = ""


class TreeReader:
    """Reads one JSON value.

    After `read`: `spans` holds where the values of the first two levels lie, `error` what stopped it, `repeated` the
    paths of keys that came twice; `skipped_fields` says that the outermost value has more members than were looked at.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.spans: dict[tuple[str, ...], Span] = {}
        self.repeated: list[str] = []
        self.has_constants = False
        self.skipped_fields = False
        self.error: ScanError | None = None
        self._nodes = MAX_NODES
        self._text = MAX_TEXT
        self._counted = MAX_COUNTED * 5

    def read(self, start: int) -> Node | None:
        """Return the tree of the value at `start`, as far as it can be read; None where there is no value."""
        try:
            node, end = self._value(skip_space(self.raw, start), "", "$", ())
        except ScanError as error:
            self.error = error
            return None
        rest = skip_space(self.raw, end)
        if self.error is None and rest < len(self.raw):
            self.error = ScanError(rest, "text after the end of the value")
        return node

    def _value(self, start: int, key: str, path: str, keys: tuple[str, ...]) -> tuple[Node, int]:
        kind = _KINDS.get(self.raw[start : start + 1], "number")
        self._nodes -= 1
        if kind in ("object", "array"):
            return self._container(start, kind, key, path, keys)
        end = skip_value(self.raw, start)
        if kind == "string":
            return self._string(start, end, key, path), end
        raw = self.raw[start:end]
        self.has_constants |= raw in _NOT_JSON
        cut = f"cut: {len(raw):,} digits" if len(raw) > MAX_STRING else ""
        return Node(key, kind, raw[:MAX_STRING].decode("ascii"), path, cut=cut), end

    def _string(self, start: int, end: int, key: str, path: str) -> Node:
        limit = MAX_STRING if self._text > 0 else 100
        text, is_cut = read_string(self.raw, start, end, limit=limit)
        self._text -= len(text)
        cut = f"cut: the first {len(text):,} characters of about {end - start - 2:,}" if is_cut else ""
        return Node(key, "string", f'"{visible(text)}"', path, cut=cut)

    def _container(self, start: int, kind: str, key: str, path: str, keys: tuple[str, ...]) -> tuple[Node, int]:
        if len(keys) >= MAX_DEPTH:
            end = skip_value(self.raw, start)
            return Node(
                key, kind, _brackets(kind, "…"), path, cut=f"deeper than {MAX_DEPTH} levels: see the raw text"
            ), end
        cursor = Cursor(self.raw, start)
        children: list[Node] = []
        count, whole = 0, True
        names: set[str] = set()
        try:
            while cursor.advance():
                count += 1
                name = self._note_name(cursor, names, path)
                self._member(cursor, children, name, path, keys, count - 1)
                if self.error is not None:
                    break
                if not self._may_count(count, keys):
                    cursor.position = skip_rest(self.raw, cursor.position)
                    whole = False
                    self.skipped_fields |= not keys
                    break
        except ScanError as error:
            self.error = self.error or error
        words = f"{count:,}" if whole and self.error is None else f"{count:,} or more"
        cut = self._cut_words(len(children), words, count, whole=whole)
        return Node(key, kind, _brackets(kind, words), path, count, tuple(children), cut), cursor.position

    def _member(
        self, cursor: Cursor, children: list[Node], name: str | None, path: str, keys: tuple[str, ...], index: int
    ) -> None:
        """Read one member, into a node where there is room for one, and leave the cursor behind it."""
        begin = cursor.position
        inner = (*keys, str(index) if name is None else name)
        if len(children) < MAX_CHILDREN and self._nodes > 0:
            node, cursor.position = self._value(begin, visible(inner[-1]), _step(path, name, index), inner)
            children.append(node)
        else:
            cursor.position = skip_value(self.raw, begin)
        if name is not None and len(inner) <= 2:
            self.spans[inner] = (begin, cursor.position)

    def _note_name(self, cursor: Cursor, names: set[str], path: str) -> str | None:
        name = cursor.key
        if name is None:
            return None
        if name in names and len(self.repeated) < 5:
            self.repeated.append(_step(path, name, 0))
        if len(names) < MAX_CHILDREN:
            names.add(name)
        return name

    def _may_count(self, count: int, keys: tuple[str, ...]) -> bool:
        if len(keys) <= 1:
            return count < MAX_COUNTED
        if count > MAX_CHILDREN or self._nodes <= 0:
            self._counted -= 1
        return count < MAX_COUNTED and self._counted > 0

    def _cut_words(self, shown: int, words: str, count: int, *, whole: bool) -> str:
        if self.error is not None:
            return f"the rest cannot be read: {self.error.reason}"
        if shown == count and whole:
            return ""
        return f"the first {shown:,} of {words} are shown" if shown else "not shown: the document is too large"


def _brackets(kind: str, words: str) -> str:
    return f"{{{words}}}" if kind == "object" else f"[{words}]"


def _step(path: str, name: str | None, index: int) -> str:
    if name is None:
        return f"{path}[{index}]"
    if _NAME.fullmatch(name):
        return f"{path}.{name}"
    quoted = visible(name[:200]).replace("\\", "\\\\").replace('"', '\\"')
    return f'{path}["{quoted}"]'
