"""The search language of traces: `type:ValueError org:org_123 -path:/health* after:-2h "free text"`.

Terms are ANDed; repeated keys are ORed; `-` negates a term; `*` is a wildcard; quotes hold spaces (`\\"` is a quote in
them). The same text stands in the search box, in the API's `q` and in deletion jobs.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from django.db.models import Q

from dagy_console.core.forms import is_storable
from dagy_console.core.times import parse_time

MAX_LENGTH = 4_000
MAX_TERMS = 50
# Key of the language -> field of the index.
FIELDS = {
    "type": "exception_type",
    "org": "org_id",
    "method": "http_method",
    "path": "http_path",
    "request": "request_id",
    "function": "function_name",
    "group": "fingerprint",
    "key": "key",
}
TIMES = {"after": "timestamp__gte", "before": "timestamp__lt"}
KEYS = (*FIELDS, *TIMES)
TEXT = "text"
_TOKEN = re.compile(r'(?P<negated>-)?(?:(?P<key>[A-Za-z_]+):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|$)')
_PLAIN = re.compile(r'[^\s"\\]+')


class BadQuery(ValueError):
    """Says what is wrong and where: `position` counts characters from 0."""

    def __init__(self, message: str, *, text: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.position = position


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `key` is one of KEYS, or TEXT for free text."""

    key: str
    value: str
    negated: bool = False

    @property
    def text(self) -> str:
        shown = self.value if _PLAIN.fullmatch(self.value) and not self._reads_otherwise() else _quoted(self.value)
        return f"{'-' if self.negated else ''}{'' if self.key == TEXT else self.key + ':'}{shown}"

    def _reads_otherwise(self) -> bool:
        """Whether free text would be taken for something else without its quotes."""
        return self.key == TEXT and (self.value.startswith("-") or ":" in self.value)


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """A parsed search. Equal queries have equal `text`."""

    terms: tuple[Term, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(term.text for term in self.terms)

    def with_term(self, term: Term) -> "TraceQuery":
        return TraceQuery((*self.without(term).terms, term))

    def without(self, term: Term) -> "TraceQuery":
        """Without this term, negated or not."""
        gone = {(term.key, term.value)}
        return TraceQuery(tuple(kept for kept in self.terms if (kept.key, kept.value) not in gone))

    def without_key(self, *keys: str) -> "TraceQuery":
        return TraceQuery(tuple(term for term in self.terms if term.key not in keys))

    def values(self, key: str, *, negated: bool = False) -> list[str]:
        return [term.value for term in self.terms if term.key == key and term.negated == negated]

    def as_q(self, *, now: datetime | None = None) -> Q:
        """The condition on the index. Relative times are taken from `now`."""
        wanted: dict[str, Q] = defaultdict(Q)
        condition = Q()
        for term in self.terms:
            if term.negated:
                condition &= ~_match(term)
            elif term.key in TIMES:
                condition &= Q(**{TIMES[term.key]: parse_time(term.value, now=now)})
            elif term.key == TEXT:
                condition &= _match(term)
            else:
                wanted[term.key] |= _match(term)
        for alternatives in wanted.values():
            condition &= alternatives
        return condition


def parse(text: str) -> TraceQuery:
    """The query that `text` says. Raises BadQuery with the position of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise BadQuery(f"The search is longer than {MAX_LENGTH:,} characters.", text=text[:100], position=MAX_LENGTH)
    terms = tuple(dict.fromkeys(_terms(text)))
    if len(terms) > MAX_TERMS:
        raise BadQuery(f"The search has more than {MAX_TERMS} terms.", text=text, position=0)
    return TraceQuery(terms)


def _terms(text: str) -> Iterator[Term]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadQuery(_what_is_wrong(text, position), text=text, position=position)
        yield _term(match, text)
        position = match.end()


def _term(match: re.Match[str], text: str) -> Term:
    key, value = match["key"], match["value"]
    if key and key.lower() not in KEYS:
        raise BadQuery(_unknown(key), text=text, position=match.start("key"))
    quoted = value.startswith('"')
    value = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    if not value:
        raise BadQuery("Write something between the quotes.", text=text, position=match.start("value"))
    if not is_storable(value):
        raise BadQuery("This holds characters that are no valid text.", text=text, position=match.start("value"))
    term = Term(key.lower() if key else TEXT, value, negated=bool(match["negated"]))
    if term.key in TIMES:
        _check_time(term, text, match.start("value"))
    return term


def _check_time(term: Term, text: str, position: int) -> None:
    if term.negated:
        raise BadQuery(f"{term.key}: cannot be negated; use after: or before:.", text=text, position=position)
    try:
        parse_time(term.value)
    except ValueError as error:
        raise BadQuery(f"{term.key}: {error}.", text=text, position=position) from None


def _what_is_wrong(text: str, position: int) -> str:
    rest = text[position:].split(maxsplit=1)[0]
    if rest.endswith(":"):
        return f"{rest} needs a value: write it right behind the colon, without a space."
    if '"' in text[position:]:
        return 'A quote is not closed, or stands inside a word: write "like this".'
    return f"{rest!r} is no term: write key:value, or words to look for."


def _unknown(key: str) -> str:
    close = get_close_matches(key.lower(), KEYS, n=1)
    hint = f"did you mean {close[0]}:?" if close else f"there are {', '.join(name + ':' for name in KEYS)}"
    return f'There is no key {key}: ({hint} To look for the text itself, quote it: "{key}:…").'


def _match(term: Term) -> Q:
    if term.key == TEXT:
        return Q(search_text__ilike=f"%{_like(term.value)}%")
    field = FIELDS[term.key]
    if "*" in term.value:
        return Q(**{f"{field}__like": _like(term.value)})
    return Q(**{field: term.value})


def _like(value: str) -> str:
    """The value as a LIKE pattern in which only `*` is a wildcard."""
    return re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%")


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
