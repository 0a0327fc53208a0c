"""Reading the index: traces that the actor may see, never a call to S3."""

from collections.abc import Sequence

from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid, NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.keys import problem_with
from dagy_console.exceptions.models import Trace


def visible_to(actor: Actor) -> QuerySet[Trace]:
    """Every trace: only the platform's staff may read them. Raises PermissionDenied."""
    actor.require(Permission.EXCEPTIONS_READ)
    return Trace.objects.defer("search_text")


def get_trace(actor: Actor, key: str) -> Trace:
    """The trace's row. Raises NotFound."""
    rows = visible_to(actor)
    trace = rows.filter(key=key).first() if is_storable(key) else None
    if trace is None:
        raise NotFound("There is no such trace: it was deleted, or the key is wrong.")
    return trace


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
