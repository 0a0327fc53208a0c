"""The first page, and the page of the platform's own state: both look into every app."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

import dagy_console
from dagy_console.audit import selectors as audit
from dagy_console.audit.serializers import entry_row
from dagy_console.core import health
from dagy_console.core.actors import Actor
from dagy_console.core.http import ConsoleRequest, read_only, render_page
from dagy_console.core.permissions import Permission
from dagy_console.exceptions import selectors as traces
from dagy_console.exceptions.index.status import index_status
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES
from dagy_console.exceptions.serializers import trace_row
from dagy_console.listing.finding import find
from dagy_console.listing.language import Term


@read_only
def root(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/console/")


@require_safe
def home(request: ConsoleRequest) -> HttpResponse:
    """What is wrong right now, as far as the actor may see it."""
    actor = request.actor
    platform = actor.can(Permission.EXCEPTIONS_READ)
    context = {
        "nav": "home",
        "tiles": _tiles(actor) if platform else [],
        "health": health.report() if actor.can(Permission.PLATFORM_READ) else None,
        "recent": [trace_row(row) for row in find(traces.visible_to(actor), TRACES.query(), limit=10).rows]
        if platform
        else [],
        "activity": [entry_row(entry) for entry in audit.recent(actor, limit=8)]
        if actor.can_somewhere(Permission.AUDIT_READ)
        else [],
    }
    return render_page(request, "home.html", context)


@require_safe
def system(request: ConsoleRequest) -> HttpResponse:
    request.actor.require(Permission.PLATFORM_READ)
    context = {
        "nav": "system",
        "health": health.report(),
        "index": index_status(),
        "buckets": [
            ("Traces", settings.TRACES_BUCKET or "not set (DAGY_TRACES_BUCKET)"),
            ("Artifacts", settings.ARTIFACTS_BUCKET or "not set (DAGY_ARTIFACTS_BUCKET)"),
        ],
        "version": dagy_console.__version__,
    }
    return render_page(request, "system.html", context)


def _tiles(actor: Actor) -> list[dict[str, Any]]:
    """The last 24 hours beside the 24 before."""
    now = timezone.now()
    day = timedelta(days=1)
    rows = traces.visible_to(actor)
    today = _counts(rows.filter(timestamp__gte=now - day))
    before = _counts(rows.filter(timestamp__gte=now - 2 * day, timestamp__lt=now - day))
    url = TRACES.query(Term("after", "-24h")).url
    labels = {"traces": "Traces", "organizations": "Organizations affected", "groups": "Groups"}
    return [
        {
            "label": f"{label}, 24 h",
            "value": today[name],
            "previous": before[name],
            "url": url,
            "state": "rising" if today[name] > 2 * before[name] and today[name] > 10 else "",
        }
        for name, label in labels.items()
    ]


def _counts(rows: QuerySet[Trace]) -> dict[str, int]:
    return rows.aggregate(
        traces=Count("*"), organizations=Count("org_id", distinct=True), groups=Count("fingerprint", distinct=True)
    )
