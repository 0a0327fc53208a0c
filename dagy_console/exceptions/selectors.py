"""Reading the index: traces that the actor may see, never a call to S3."""

from collections.abc import Sequence

from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import Invalid, NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.paging import DEFAULT_LIMIT, Keyset, Page
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.keys import problem_with
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TraceQuery

KEYSET = Keyset("timestamp", "key")
# What a reader may wait for a list, and for what merely stands beside something else.
LIST_SECONDS = 5
ASIDE_SECONDS = 1


class TooBroad(Invalid):
    title = "The search is too broad"

    def __init__(self) -> None:
        super().__init__("This search took too long: add a time (after:-24h), an organization, or a longer word.")


def visible_to(actor: Actor) -> QuerySet[Trace]:
    """Every trace: only the platform's staff may read them. Raises PermissionDenied."""
    actor.require(Permission.EXCEPTIONS_READ)
    return Trace.objects.all()


def matching(actor: Actor, query: TraceQuery) -> QuerySet[Trace]:
    return visible_to(actor).filter(query.as_q())


def list_traces(actor: Actor, query: TraceQuery, *, limit: int = DEFAULT_LIMIT, cursor: str = "") -> Page[Trace]:
    """Newest first. Raises PermissionDenied, Invalid for a broken cursor, TooBroad."""
    rows = matching(actor, query).defer("search_text")
    try:
        with time_limit(LIST_SECONDS):
            return KEYSET.page(rows, limit=limit, cursor=cursor)
    except TookTooLong:
        raise TooBroad from None


def get_trace(actor: Actor, key: str) -> Trace:
    """The trace's row. Raises NotFound."""
    rows = visible_to(actor)
    trace = rows.filter(key=key).first() if is_storable(key) else None
    if trace is None:
        raise NotFound("There is no such trace: it was deleted, or the key is wrong.")
    return trace


def neighbours(actor: Actor, query: TraceQuery, trace: Trace) -> tuple[Trace | None, Trace | None]:
    """The next newer and the next older trace in the search; none where finding them takes too long."""
    rows = matching(actor, query)
    try:
        with time_limit(ASIDE_SECONDS):
            return KEYSET.above(rows, trace).first(), KEYSET.below(rows, trace).first()
    except TookTooLong:
        return None, None


def count_up_to(actor: Actor, query: TraceQuery, most: int) -> int:
    """How many match, counted to `most` and no further."""
    return matching(actor, query).order_by()[:most].count()


def problems_with_keys(actor: Actor, keys: Sequence[str]) -> dict[str, str]:
    """Key -> why it cannot be a trace's. A key that the index knows is one, however odd it looks."""
    doubtful = {key: problem for key in keys if (problem := problem_with(key))}
    known = set(indexed_keys(actor, [key for key in doubtful if is_storable(key)])) if doubtful else set()
    return {key: problem for key, problem in doubtful.items() if key not in known}


def require_trace_keys(actor: Actor, keys: Sequence[str]) -> None:
    """Raises Invalid that names the first key which can be no trace's."""
    for key, problem in problems_with_keys(actor, keys).items():
        raise Invalid.field("keys", f"{key[:200]!r}: {problem} Nothing was deleted.")


def indexed_keys(actor: Actor, keys: Sequence[str]) -> list[str]:
    """Those of the keys that the index knows, in order."""
    return sorted(visible_to(actor).filter(key__in=keys).values_list("key", flat=True))
