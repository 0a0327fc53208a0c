"""Terms of the search language against facts that are at hand, as a list's search would have it."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from dagy_console.listing.language import Term


def matches(facts: Mapping[str, str], terms: Iterable[Term]) -> bool:
    """Values of one key are alternatives, keys must all hold, negated terms must all fail; `*` is a wildcard. A key
    that the facts lack matches nothing."""
    wanted: dict[str, bool] = {}
    for term in terms:
        is_met = term.key in facts and fnmatchcase(facts[term.key], _pattern(term.value))
        if term.negated and is_met:
            return False
        if not term.negated:
            wanted[term.key] = wanted.get(term.key, False) or is_met
    return all(wanted.values())


def _pattern(value: str) -> str:
    """fnmatch has more wildcards than the language."""
    return value.replace("[", "[[]").replace("?", "[?]")
