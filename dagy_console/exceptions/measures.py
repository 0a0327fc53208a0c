"""What rules can watch of traces and their groups."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.expressions import Combinable

from dagy.capture.keys import NO_ORG
from dagy_console.alerts import checking
from dagy_console.alerts.measures import Asked, known
from dagy_console.alerts.measures.rows import RowsMeasure
from dagy_console.core.health import Status
from dagy_console.core.permissions import Permission
from dagy_console.core.words import counted
from dagy_console.exceptions.index import status
from dagy_console.exceptions.models import GroupOrganization, Trace, TraceGroup
from dagy_console.exceptions.search import GROUPS, TRACES


class _OfTraces(RowsMeasure):
    permission = Permission.EXCEPTIONS_READ
    listing = TRACES

    def rows(self) -> QuerySet[Any]:
        return Trace.objects.all()

    def stale(self) -> str:
        health, message = status.check()
        return "" if health == Status.HEALTHY else f"The trace index may lack the latest: {message}."


def check_soon() -> None:
    """Traces have come into the index."""
    checking.check_soon([measure.name for measure in known() if isinstance(measure, _OfTraces)])


class ExceptionCount(_OfTraces):
    name, label, unit = "exception_count", "Exceptions", "trace"
    help = "Traces of unhandled exceptions."

    def details(self, asked: Asked) -> dict[str, str]:
        rows = self.found(asked)
        worst = rows.values("fingerprint").annotate(n=Count("*")).order_by("-n").first()
        if worst is None:
            return {}
        latest = rows.filter(fingerprint=worst["fingerprint"]).order_by("-timestamp").first()
        hit = rows.aggregate(n=Count("org_id", distinct=True))["n"]
        told = f"{latest.exception_type}: {latest.message}" if latest else ""
        return {"most of it": f"{counted(worst['n'], 'trace')} of {told}", "hits": counted(hit, "organization")}


class OrganizationsAffected(_OfTraces):
    name, label, unit = "organizations_affected", "Organizations hit", "organization"
    help = "Organizations that have traces."
    for_organizations, adds_up = False, False

    def rows(self) -> QuerySet[Any]:
        return super().rows().exclude(org_id=NO_ORG)

    def value(self, start: datetime, end: datetime) -> Combinable:
        return Count("org_id", distinct=True)


class _OfGroups(_OfTraces):
    # A time of a search is none of a rule.
    listing = replace(GROUPS, keys=tuple(key for key in GROUPS.keys if key.name != "first"))
    more_dimensions = ("group",)

    def rows(self) -> QuerySet[Any]:
        return TraceGroup.objects.filter(count__gt=0)

    def of(self, rows: QuerySet[Any], org_id: str) -> QuerySet[Any]:
        return rows.filter(fingerprint__in=GroupOrganization.objects.filter(org_id=org_id).values("fingerprint"))


class NewGroup(_OfGroups):
    name, label, unit = "new_group", "New problems", "group"
    help = "Groups of traces that were seen for the first time."
    time = "first_seen"


class Regression(_OfGroups):
    name, label, unit = "regression", "Problems that came back", "group"
    help = "Groups that somebody had resolved, and that have traces again."
    time = "regressed_at"
