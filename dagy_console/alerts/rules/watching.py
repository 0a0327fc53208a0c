"""From a search to a rule that watches it: for the pages of lists."""

from urllib.parse import urlencode

from dagy_console.alerts import measures
from dagy_console.alerts.measures import Measure
from dagy_console.core.errors import Invalid
from dagy_console.core.http import ConsoleRequest, address
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import SORT, TEXT, TIMES, Query


def watch_url(request: ConsoleRequest, query: Query) -> str:
    """The form of a rule, filled in; "" where nothing measures this list, or who reads it may make no rules."""
    measure = next((one for one in measures.known() if _measures(one, query)), None)
    if measure is None or not _may(request, measure):
        return ""
    given = {"measure": measure.name, "query": _without_times(measure, query)}
    return f"{address('rules:new')}?{urlencode({name: value for name, value in given.items() if value})}"


def _measures(measure: Measure, query: Query) -> bool:
    return measure.has_history and measure.listing.page == query.listing.page


def _may(request: ConsoleRequest, measure: Measure) -> bool:
    wanted = (Permission.NOTIFICATIONS_WRITE, measure.permission)
    return all(request.actor.can_somewhere(permission) for permission in wanted)


def _without_times(measure: Measure, query: Query) -> str:
    """A rule has its own window; what else it can't look for is left out as well."""
    known = {key.name for key in measure.listing.keys}
    gone = {term.key for term in query.terms if term.key != TEXT and term.key not in known}
    text = query.without_key(*TIMES, SORT, *gone).text
    try:
        return measure.parse(text).text
    except Invalid:
        return ""
