"""From a run to its exceptions, and from a trace to its run."""

from contextlib import suppress
from uuid import UUID

from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.permissions import Permission
from dagy_console.core.words import counted
from dagy_console.exceptions import selectors
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.finding import count_up_to
from dagy_console.listing.language import Term
from dagy_console.runs.models import Run
from dagy_console.runs.registry import Link
from dagy_console.runs.selectors import get_run

_COUNTED = 1_000


def traces_of(actor: Actor, run: Run) -> list[Link]:
    """To the traces that name the run, where there are any."""
    if not actor.can(Permission.EXCEPTIONS_READ):
        return []
    query = TRACES.query(Term("run", str(run.pk)))
    count = count_up_to(selectors.visible_to(actor), query, _COUNTED)
    return [Link(f"{counted(count, 'exception')} of this run", query.url)] if count else []


def run_of(actor: Actor, trace: Trace) -> Run | None:
    """The run that a trace names, where there is one and the actor may see it."""
    with suppress(ValueError, ConsoleError):
        return get_run(actor, UUID(trace.run_id))
    return None
