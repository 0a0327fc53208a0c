"""What exceptions tell of a customer: how many there were, and the latest."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now

from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.customers.registry import Figure, Panel, add_figure, add_panel
from dagy_console.exceptions import selectors
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.presenting import trace_rows
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.finding import find
from dagy_console.listing.language import Term


def register() -> None:
    add_figure(Figure("traces_24h", "Traces, 24 h", _traces_of_a_day, _url, bad=True))
    add_panel(Panel("traces", "exceptions/_customer.html", _latest, order=10))


def _traces_of_a_day() -> Combinable:
    rows = Trace.objects.filter(org_id=OuterRef("pk"), timestamp__gte=Now() - timedelta(days=1)).order_by()
    counted = rows.values("org_id").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _url(org_id: str) -> str:
    return TRACES.query(Term("org", org_id), Term("after", "-24h")).url


def _latest(actor: Actor, org_id: str) -> dict[str, Any]:
    if not actor.can(Permission.EXCEPTIONS_READ):
        return {"rows": [], "url": ""}
    query = TRACES.query(Term("org", org_id))
    rows = find(selectors.visible_to(actor), query, limit=5).rows
    return {"rows": trace_rows(rows), "url": query.url}
