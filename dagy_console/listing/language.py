"""The search language of every list: `type:ValueError org:org_123 -path:/health* after:-2h "free text"`.

Terms are ANDed; repeated keys are ORed; `-` negates a term; `*` is a wildcard; quotes hold spaces (`\\"` is a quote in
them). The same text stands in the search box, in the API's `q`, in deletion jobs and, later, in alert rules. Which keys
there are, a list declares: see `Listing`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from urllib.parse import urlencode

from django.db.models import Q

from dagy_console.core.forms import is_storable
from dagy_console.core.http import address
from dagy_console.core.times import parse_time
from dagy_console.core.words import plural
from dagy_console.listing.pages import Keyset

MAX_LENGTH = 4_000
MAX_TERMS = 50
TIMES = {"after": "gte", "before": "lt"}
TEXT, SORT = "text", "sort"
_TOKEN = re.compile(r'(?P<negated>-)?(?:(?P<key>[A-Za-z_]+):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)(?=\s|$)')
_WITHOUT_VALUE = re.compile(r"-?[A-Za-z_]+:(?=\s|$)")
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
    """One condition. `key` is one of the list's, `after`, `before`, TEXT for free text, or SORT for the order."""

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
class Key:
    """What a list can be searched by.

    `column` is a field (or annotation) of its rows; a key without `heading` is in no form. With `facet`, its values
    stand beside the list with their counts; with `counted`, the list says how many of them there are. `parameter` is
    the API's name for it. `values` are all that there can be, where they are known. `condition` makes the condition of
    one value, and raises ValueError with what to write instead; without it, values are compared whole, and `*` is a
    wildcard. `labels` says what people call the values, of those that have a name.
    """

    name: str
    column: str
    heading: str = ""
    facet: bool = False
    counted: bool = False
    parameter: str = ""
    example: str = ""
    values: tuple[str, ...] = ()
    condition: Callable[[str, str], Q] | None = None
    labels: Callable[[Sequence[str]], Mapping[str, str]] | None = None

    def match(self, value: str) -> Q:
        """Raises ValueError where the value cannot be one of this key's."""
        if self.condition:
            return self.condition(self.column, value)
        if "*" in value:
            return Q(**{f"{self.column}__like": _like(value)})
        if self.values:
            one_of(self.values, value)
        return Q(**{self.column: value})


def one_of(known: Sequence[str], value: str) -> str:
    """Raises ValueError that says what there is."""
    if value not in known:
        raise ValueError(f"there is no {value}; {_hint(value, known)}")
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A list that is searched, faceted, charted and paged: what an app declares of it.

    `page` is the name of its page's address, `noun` what a row is. Rows are ordered by `time`, newest
    first, and by `tie`, which is unique. `text` is the column that free text is looked for in; it has a trigram index.
    `together` names columns that have few combinations: they are counted in one go.
    `source` is the table whose whole days are counted once (`rollups`); without it, every summary is counted anew.
    `sorts` are other orders that it has (name -> column); the first is the usual one, by `time`.
    """

    page: str
    noun: str
    keys: tuple[Key, ...]
    time: str
    tie: str
    text: str
    text_heading: str
    example: str = ""
    together: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    sorts: Mapping[str, str] = field(default_factory=dict)

    @property
    def keyset(self) -> Keyset:
        return Keyset(self.time, self.tie)

    @property
    def plural(self) -> str:
        return plural(self.noun)

    @property
    def names(self) -> tuple[str, ...]:
        return (*(key.name for key in self.keys), *TIMES, *([SORT] if self.sorts else []))

    @property
    def facets(self) -> tuple[Key, ...]:
        return tuple(key for key in self.keys if key.facet)

    @property
    def parameters(self) -> dict[str, str]:
        """The API's parameters, and the keys of the language that they stand for."""
        times = {"from": "after", "to": "before"}
        declared = {key.parameter: key.name for key in self.keys if key.parameter}
        return declared | times | ({SORT: SORT} if self.sorts else {})

    def key(self, name: str) -> Key:
        return next(key for key in self.keys if key.name == name)

    def query(self, *terms: Term) -> "Query":
        return Query(self, terms)

    def parse(self, text: str) -> "Query":
        """The query that `text` says. Raises BadQuery with the position of what is wrong."""
        if len(text) > MAX_LENGTH:
            message = f"The search is longer than {MAX_LENGTH:,} characters."
            raise BadQuery(message, text=text[:100], position=MAX_LENGTH)
        terms = tuple(dict.fromkeys(self._terms(text)))
        if len(terms) > MAX_TERMS:
            raise BadQuery(f"The search has more than {MAX_TERMS} terms.", text=text, position=0)
        return Query(self, terms)

    def narrowed(self, text: str, fields: Mapping[str, str]) -> "Query":
        """The search `text`, narrowed by single fields (key -> value). Raises BadQuery."""
        terms = [Term(key, value.strip()).text for key, value in fields.items() if value.strip()]
        return self.parse(" ".join([text, *terms]))

    def _terms(self, text: str) -> Iterator[Term]:
        position = 0
        while position < len(text):
            if text[position].isspace():
                position += 1
                continue
            match = None if _WITHOUT_VALUE.match(text, position) else _TOKEN.match(text, position)
            if match is None:
                raise BadQuery(_what_is_wrong(text, position), text=text, position=position)
            yield self._term(match, text)
            position = match.end()

    def _term(self, match: re.Match[str], text: str) -> Term:
        key, value = match["key"], match["value"]
        if key and key.lower() not in self.names:
            raise BadQuery(self._unknown(key), text=text, position=match.start("key"))
        value = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        position = match.start("value")
        if not value:
            raise BadQuery("Write something between the quotes.", text=text, position=position)
        if not is_storable(value):
            raise BadQuery("This holds characters that are no valid text.", text=text, position=position)
        term = Term(key.lower() if key else TEXT, value, negated=bool(match["negated"]))
        if term.negated and term.key in (*TIMES, SORT):
            message = f"{term.key}: cannot be negated" + ("; use after: or before:." if term.key in TIMES else ".")
            raise BadQuery(message, text=text, position=position)
        try:
            self.condition(term)
        except ValueError as error:
            raise BadQuery(f"{term.key}: {error}.", text=text, position=position) from None
        return term

    def condition(self, term: Term, *, now: datetime | None = None) -> Q:
        """Raises ValueError where the value says nothing."""
        if term.key == SORT:
            one_of(list(self.sorts), term.value)
            return Q()
        if term.key in TIMES:
            return Q(**{f"{self.time}__{TIMES[term.key]}": parse_time(term.value, now=now)})
        found = Q(**{f"{self.text}__ilike": f"%{_like(term.value)}%"}) if term.key == TEXT else None
        found = found if found is not None else self.key(term.key).match(term.value)
        return ~found if term.negated else found

    def _unknown(self, key: str) -> str:
        hint = _hint(f"{key.lower()}:", [f"{name}:" for name in self.names])
        return f'There is no key {key}: ({hint} To look for the text itself, quote it: "{key}:…").'


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search of a list. Equal queries have equal `text`."""

    listing: Listing
    terms: tuple[Term, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(term.text for term in self.terms)

    @property
    def url(self) -> str:
        """The address of the page that shows what it finds."""
        return self.url_with()

    def url_with(self, **parameters: str) -> str:
        """That address, with more that it takes."""
        path, asked = address(self.listing.page), ({"q": self.text} if self.terms else {}) | parameters
        return f"{path}?{urlencode(asked)}" if asked else path

    @property
    def sort(self) -> str:
        """The last one that it asks for wins, as in a list whose headings are clicked."""
        asked = self.values(SORT)
        return asked[-1] if asked else next(iter(self.listing.sorts), "")

    @property
    def keyset(self) -> Keyset:
        return Keyset(self.listing.sorts.get(self.sort, self.listing.time), self.listing.tie)

    def with_term(self, term: Term) -> "Query":
        return Query(self.listing, (*self.without(term).terms, term))

    def without(self, term: Term) -> "Query":
        """Without this term, negated or not."""
        gone = (term.key, term.value)
        return Query(self.listing, tuple(kept for kept in self.terms if (kept.key, kept.value) != gone))

    def without_key(self, *keys: str) -> "Query":
        return Query(self.listing, tuple(term for term in self.terms if term.key not in keys))

    def values(self, key: str, *, negated: bool = False) -> list[str]:
        return [term.value for term in self.terms if term.key == key and term.negated == negated]

    def as_q(self, *, now: datetime | None = None) -> Q:
        """The condition on the list's rows. Relative times are taken from `now`."""
        alternatives: dict[str, Q] = defaultdict(Q)
        condition = Q()
        for term in self.terms:
            found = self.listing.condition(term, now=now)
            if term.negated or term.key in (*TIMES, TEXT):
                condition &= found
            else:
                alternatives[term.key] |= found
        for either in alternatives.values():
            condition &= either
        return condition


def _what_is_wrong(text: str, position: int) -> str:
    rest = text[position:].split(maxsplit=1)[0]
    if rest.endswith(":"):
        return f"{rest} needs a value: write it right behind the colon, without a space."
    if '"' in text[position:]:
        return 'A quote is not closed, or stands inside a word: write "like this".'
    return f"{rest!r} is no term: write key:value, or words to look for."


def _hint(value: str, known: Sequence[str]) -> str:
    close = get_close_matches(value, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def _like(value: str) -> str:
    """The value as a LIKE pattern in which only `*` is a wildcard."""
    return re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%")


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
