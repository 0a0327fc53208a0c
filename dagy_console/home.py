"""The first page, and the page of the platform's own state: both look into every app."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Func, IntegerField, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

import dagy_console
from dagy_console.alerts.firings import selectors as alerts
from dagy_console.alerts.firings.presenting import alert_row
from dagy_console.alerts.search import ALERTS
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
    failed, run_tiles = _failed_runs(actor) if actor.can_somewhere(Permission.RUNS_READ) else (None, [])
    context = {
        "nav": "home",
        "tiles": [*(_trace_tiles(actor) if platform else ()), *run_tiles],
        "health": health.report() if actor.can(Permission.PLATFORM_READ) else None,
        "firing": [alert_row(alert) for alert in alerts.firing(actor)[:5]]
        if actor.can_somewhere(Permission.NOTIFICATIONS_READ)
        else None,
        "firing_url": ALERTS.parse("status:firing").url,
        **(home_groups(actor) if platform else {}),
        "fresh_url": GROUPS.parse("first:-24h sort:new").url,
        "now": timezone.now().replace(microsecond=0),
        "failed": failed,
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


def _failed_runs(actor: Actor) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The latest, and the tile of the last 24 hours beside the 24 before: in one query."""
    now, failed = timezone.now(), runs.failed_visible_to(actor)
    today = _count(failed.filter(created_at__gte=now - _DAY))
    before = _count(failed.filter(created_at__gte=now - 2 * _DAY, created_at__lt=now - _DAY))
    latest = list(failed.annotate(today=today, before=before).order_by("-created_at", "-id")[:5])
    count_today, count_before = (latest[0].today, latest[0].before) if latest else (0, 0)
    tile = _tile("Failed runs", count_today, count_before, failed_of_a_day().url)
    return [run_row(row) for row in latest], [tile]


def _count(rows: QuerySet[Any]) -> Subquery:
    counted = rows.order_by().annotate(n=Func(F("pk"), function="count", output_field=IntegerField()))
    return Subquery(counted.values("n"))


def _tile(label: str, today: int, before: int, url: str) -> dict[str, Any]:
    is_rising = today > 2 * before and today > 10
    return {
        "label": f"{label}, 24 h",
        "value": today,
        "previous": before,
        "url": url,
        "state": "rising" if is_rising else "",
    }
