"""The first page, and the page of the platform's own state: both look into every app."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
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
from dagy_console.exceptions.groups.presenting import home_groups
from dagy_console.exceptions.index.status import index_status
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.language import Term
from dagy_console.listing.tallying import tallies
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
        **(home_groups(actor) if platform else {}),
        "fresh_url": GROUPS.parse("first:-24h sort:new").url,
        "now": timezone.now().replace(microsecond=0),
        "failed": [run_row(row) for row in runs.failed_visible_to(actor).order_by("-created_at", "-id")[:5]]
        if actor.can_somewhere(Permission.RUNS_READ)
        else None,
        "failed_url": failed_of_a_day().url,
        "activity": [entry_row(entry) for entry in audit.recent(actor, limit=8)]
        if actor.can_somewhere(Permission.AUDIT_READ)
        else [],
    }
    return render_page(request, "home.html", context, part="live")


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
    before, today = tallies(TRACES, traces.visible_to(actor), ["org", "group"], [now - 2 * _DAY, now - _DAY, now])
    url = TRACES.query(Term("after", "-24h")).url
    doors = {"org": ("Organizations affected", f"{url}#facet-org"), "group": ("Groups", GROUPS.parse("after:-24h").url)}
    distinct = [
        _tile(label, today.distinct.get(key, 0), before.distinct.get(key, 0), door)
        for key, (label, door) in doors.items()
    ]
    return [_tile("Traces", today.count, before.count, url), *distinct]


def _run_tiles(actor: Actor) -> list[dict[str, Any]]:
    now = timezone.now()
    failed = runs.failed_visible_to(actor).filter(created_at__gte=now - 2 * _DAY)
    is_today = Q(created_at__gte=now - _DAY)
    counts = failed.aggregate(today=Count("pk", filter=is_today), before=Count("pk", filter=~is_today))
    return [_tile("Failed runs", counts["today"], counts["before"], failed_of_a_day().url)]


def _tile(label: str, today: int, before: int, url: str) -> dict[str, Any]:
    is_rising = today > 2 * before and today > 10
    return {
        "label": f"{label}, 24 h",
        "value": today,
        "previous": before,
        "url": url,
        "state": "rising" if is_rising else "",
    }
