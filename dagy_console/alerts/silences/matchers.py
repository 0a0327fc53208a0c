"""What a silence goes by."""

from dagy_console.alerts import measures
from dagy_console.core.errors import Invalid
from dagy_console.listing.language import TEXT, TIMES, BadQuery, Key, Listing, Term

LONGEST_REASON = 500


def keys() -> list[str]:
    """What a matcher can go by: the rule, and every dimension that a rule can have."""
    dimensions = {name for measure in measures.known() for name in measure.dimensions()}
    return ["rule", "severity", "org", *sorted(dimensions - {"org", "severity"})]


def terms_of_text(text: str) -> list[Term]:
    """Of the search language: rule:"Runs fail" -org:org_123. Raises Invalid."""
    known = tuple(Key(name, name) for name in keys())
    alerts = Listing(page="silences:list", noun="alert", keys=known, time="at", tie="", text="text", text_heading="")
    try:
        query = alerts.parse(text)
    except BadQuery as error:
        raise Invalid.field("matchers", error.message) from None
    if any(term.key in (TEXT, *TIMES) for term in query.terms):
        raise Invalid.field("matchers", "takes keys with values alone: rule:*, org:org_123")
    return list(query.terms)
