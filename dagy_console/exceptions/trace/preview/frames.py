"""Parsed exceptions as the page shows them: application frames open, library frames folded, code highlighted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

from dagy_console.core.visible import visible
from dagy_console.core.words import counted
from dagy_console.exceptions.reading.fingerprints import is_library, module_name
from dagy_console.exceptions.reading.tracebacks import Frame, ParsedException
from dagy_console.exceptions.trace.preview.text import shorten

MAX_SECTIONS = 100
MAX_DEPTH = 10
MAX_FRAMES = 1_000
MAX_HIGHLIGHTED = 300
MAX_SOURCE_LINES = 20
MAX_SOURCE_LINE = 500
MAX_VALUE = 10_000

# Of a cycle of calls: longer ones are not looked for, and twice is no recursion.
MAX_CYCLE, LEAST_CYCLES = 12, 3
# From an exception down to the one before it.
RELATIONS = {
    None: "",
    "cause": "Its direct cause:",
    "context": "It was raised while this one was being handled:",
}

_LEXER = PythonLexer(stripnl=False, ensurenl=False)
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)


@dataclass(frozen=True, slots=True)
class FrameView:
    """One frame. `source_html` is escaped and highlighted: one line or several, or empty. `is_here` marks the innermost
    one of the application, or of all where there is none."""

    file: str
    short_file: str
    line: int
    function: str
    source_html: SafeString
    is_library: bool
    repeated: str
    is_here: bool = False


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Neighbouring frames that are all of the application (shown open) or all of libraries (folded under `label`)."""

    is_library: bool
    label: str
    frames: tuple[FrameView, ...]


@dataclass(frozen=True, slots=True)
class SyntaxView:
    """The broken source of a syntax error."""

    file: str
    line: int
    source_html: SafeString


@dataclass(frozen=True, slots=True)
class Section:
    """One exception. `relation` leads from it to the section before; `is_raised` marks the last of the chain.

    `members` are the chains of an exception group, each a tuple of sections. `cut` says what is not shown, or is empty.
    `language` is whose stack it is.
    """

    type: str
    value: str
    relation: str
    is_raised: bool
    runs: tuple[FrameRun, ...]
    notes: tuple[str, ...]
    syntax: SyntaxView | None
    members: tuple[tuple[Section, ...], ...]
    cut: str
    language: str


class SectionBuilder:
    """Builds the sections of one trace within the limits of one page."""

    def __init__(self) -> None:
        self._sections = MAX_SECTIONS
        self._frames = MAX_FRAMES
        self._highlighted = MAX_HIGHLIGHTED

    def build(self, chain: tuple[ParsedException, ...], depth: int = 0) -> tuple[Section, ...]:
        """Return sections in printed order, the raised one last; over the limit, the first are left out."""
        kept = chain[-max(self._sections, 1) :]
        self._sections -= len(kept)
        # The raised exception comes first to its share of the frames.
        sections = [self._section(exception, depth, is_raised=exception is kept[-1]) for exception in reversed(kept)]
        return tuple(reversed(sections))

    def _section(self, exception: ParsedException, depth: int, *, is_raised: bool) -> Section:
        value, value_cut = shorten(exception.value, MAX_VALUE)
        folded = _folded(exception.frames)
        frames = folded[-self._frames :] if self._frames > 0 else []
        self._frames -= len(frames)
        cuts = [value_cut] if value_cut else []
        if len(frames) < len(folded):
            cuts.append(f"the innermost {len(frames):,} of {len(folded):,} frames are shown")
        members: list[tuple[Section, ...]] = []
        for member in exception.exceptions:
            if depth >= MAX_DEPTH or self._sections <= 0:
                break
            members.append(self.build(member, depth + 1))
        left_out = len(exception.exceptions) - len(members) + exception.omitted
        if left_out:
            cuts.append(f"{left_out:,} more exceptions of this group are not shown")
        return Section(
            type=visible(exception.type[:MAX_SOURCE_LINE]) or "(the text was cut before the type)",
            value=visible(value),
            relation=RELATIONS[exception.relation],
            is_raised=is_raised,
            runs=self._runs(frames, is_raised=is_raised),
            notes=tuple(visible(note[:MAX_VALUE]) for note in exception.notes),
            syntax=self._syntax(exception),
            members=tuple(members),
            cut="; ".join(cuts),
            language=exception.language,
        )

    def _runs(self, frames: list[tuple[Frame, str]], *, is_raised: bool) -> tuple[FrameRun, ...]:
        views = [self._view(frame, repeated) for frame, repeated in frames]
        own = [number for number, view in enumerate(views) if not view.is_library] or list(range(len(views)))
        if own and is_raised:
            views[own[-1]] = replace(views[own[-1]], is_here=True)
        runs = []
        for library, group in groupby(views, key=lambda view: view.is_library):
            members = tuple(group)
            runs.append(FrameRun(library, _run_label(len(members), library=library), members))
        return tuple(runs)

    def _view(self, frame: Frame, repeated: str) -> FrameView:
        return FrameView(
            file=visible(frame.file[:2_000]),
            short_file=visible(_short_file(frame.file)),
            line=frame.line,
            function=visible(frame.function[:MAX_SOURCE_LINE]),
            source_html=self._source(frame.source, frame.carets),
            is_library=is_library(frame.file),
            repeated=repeated,
        )

    def _syntax(self, exception: ParsedException) -> SyntaxView | None:
        place = exception.syntax
        if place is None:
            return None
        carets = tuple(place.caret.split("\n")) if place.caret else ()
        html = self._source(tuple(place.source.split("\n")), carets)
        return SyntaxView(visible(place.file[:2_000]), place.line, html)

    def _source(self, source: tuple[str, ...], carets: tuple[str, ...]) -> SafeString:
        parts: list[str] = []
        for index, line in enumerate(source[:MAX_SOURCE_LINES]):
            shown = visible(line[:MAX_SOURCE_LINE])
            self._highlighted -= 1
            parts.append(_highlight(shown) if self._highlighted > 0 else escape(shown))
            if index < len(carets) and carets[index]:
                parts.append(f'<span class="carets">{escape(visible(carets[index][:MAX_SOURCE_LINE]))}</span>')
        return mark_safe("\n".join(parts))  # noqa: S308 each part is escaped by Pygments or by escape()


def _folded(frames: tuple[Frame, ...]) -> list[tuple[Frame, str]]:
    """The frames, each with how often it is repeated in words; of calls that go round and round, one round."""
    places = [(frame.file, frame.line, frame.function) for frame in frames]
    folded: list[tuple[Frame, str]] = []
    at = 0
    while at < len(frames):
        length, rounds = _cycle_at(places, at)
        folded += [(frame, _repeated(frame.repeated)) for frame in frames[at : at + length]]
        if rounds > 1:
            more = rounds - 1 + (frames[at].repeated if length == 1 else 0)
            folded[-1] = (folded[-1][0], _repeated(more, of=length))
        at += length * rounds
    return folded


def _cycle_at(places: list[tuple[str, int, str]], at: int) -> tuple[int, int]:
    """The length and the rounds of the cycle that begins here and spares most; (1, 1) where there is none."""
    best = (1, 1)
    for length in range(1, MAX_CYCLE + 1):
        rounds, cycle = 1, places[at : at + length]
        while places[at + rounds * length : at + (rounds + 1) * length] == cycle:
            rounds += 1
        if rounds >= LEAST_CYCLES and rounds * length > best[0] * best[1]:
            best = (length, rounds)
    return best


def _repeated(count: int, *, of: int = 1) -> str:
    if not count:
        return ""
    return f"repeated {count:,} more times" if of == 1 else f"these {of} frames repeated {count:,} more times"


@lru_cache(maxsize=1024)
def _highlight(line: str) -> str:
    return highlight(line, _LEXER, _FORMATTER).rstrip("\n")


def _run_label(count: int, *, library: bool) -> str:
    kind = "library" if library else "application"
    return counted(count, f"{kind} frame")


def _short_file(file: str) -> str:
    name = module_name(file)
    return f"{name}.py" if file.endswith(".py") else name
