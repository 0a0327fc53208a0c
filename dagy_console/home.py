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
from dagy_console.exceptions.presenting import trace_rows
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.finding import find
from dagy_console.listing.language import Term
from dagy_console.runs import selectors as runs
from dagy_console.runs.presenting import run_row
from dagy_console.runs.search import failed_of_a_day

_DAY = timedelta(days=1)


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
        "tiles": _tiles(actor),
        "health": health.report() if actor.can(Permission.PLATFORM_READ) else None,
        "recent": trace_rows(find(traces.visible_to(actor), TRACES.query(), limit=10).rows) if platform else [],
        "failed": [run_row(row) for row in runs.failed_visible_to(actor).order_by("-created_at", "-id")[:5]]
        if actor.can_somewhere(Permission.RUNS_READ)
        else None,
        "failed_url": failed_of_a_day().url,
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
    """The last 24 hours beside the 24 before, of what the actor may see."""
    traces_too = actor.can(Permission.EXCEPTIONS_READ)
    runs_too = actor.can_somewhere(Permission.RUNS_READ)
    return [*(_trace_tiles(actor) if traces_too else ()), *(_run_tiles(actor) if runs_too else ())]


def _trace_tiles(actor: Actor) -> list[dict[str, Any]]:
    now = timezone.now()
    rows = traces.visible_to(actor)
    today = _counts(rows.filter(timestamp__gte=now - _DAY))
    before = _counts(rows.filter(timestamp__gte=now - 2 * _DAY, timestamp__lt=now - _DAY))
    url = TRACES.query(Term("after", "-24h")).url
    labels = {"traces": "Traces", "organizations": "Organizations affected", "groups": "Groups"}
    return [_tile(label, today[name], before[name], url) for name, label in labels.items()]


def _run_tiles(actor: Actor) -> list[dict[str, Any]]:
    now = timezone.now()
    failed = runs.failed_visible_to(actor)
    today = failed.filter(created_at__gte=now - _DAY).count()
    before = failed.filter(created_at__gte=now - 2 * _DAY, created_at__lt=now - _DAY).count()
    return [_tile("Failed runs", today, before, failed_of_a_day().url)]


def _tile(label: str, today: int, before: int, url: str) -> dict[str, Any]:
    is_rising = today > 2 * before and today > 10
    return {
        "label": f"{label}, 24 h",
        "value": today,
        "previous": before,
        "url": url,
        "state": "rising" if is_rising else "",
    }


def _counts(rows: QuerySet[Trace]) -> dict[str, int]:
    return rows.aggregate(
        traces=Count("*"), organizations=Count("org_id", distinct=True), groups=Count("fingerprint", distinct=True)
    )
