"""Measures of what lies below the apps that have lists of their own: the record, health, channels, and the check
itself."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from dagy_console.alerts import heartbeat
from dagy_console.alerts.matching import matches
from dagy_console.alerts.measures import Asked, Broken, Measure, Values
from dagy_console.alerts.measures.rows import RowsMeasure, RowsNow
from dagy_console.alerts.models import Channel
from dagy_console.alerts.search import CHANNELS
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.search import ENTRIES, MEMBERS_ENTRIES
from dagy_console.audit.selectors import as_members_see
from dagy_console.core import health
from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import Key, Listing, Query

COMPONENTS = Listing(
    page="home",
    noun="part",
    keys=(Key("component", "component", facet=True), Key("status", "status", values=tuple(health.Status))),
    time="at",
    tie="component",
    text="message",
    text_heading="",
)


class AuditCount(RowsMeasure):
    name, label, unit = "audit_count", "Audit entries", "entry"
    help = "Entries of the audit log: action:permission.denied, say."
    permission = Permission.AUDIT_READ
    listing = ENTRIES

    def listing_for(self, org_id: str) -> Listing:
        return MEMBERS_ENTRIES if org_id else ENTRIES

    def rows(self) -> QuerySet[Any]:
        return AuditEntry.objects.all()

    def of(self, rows: QuerySet[Any], org_id: str) -> QuerySet[Any]:
        return as_members_see(rows.filter(org_id=org_id))


class ChannelFailing(RowsNow):
    name, label, unit = "channel_failing", "Failing channels", "channel"
    help = "Channels of alerts whose last message was not taken."
    permission = Permission.NOTIFICATIONS_READ
    listing = CHANNELS
    more_dimensions = ("channel",)

    def rows(self) -> QuerySet[Any]:
        return Channel.objects.filter(failing_since__isnull=False)

    def of(self, rows: QuerySet[Any], org_id: str) -> QuerySet[Any]:
        return rows.filter(organization=org_id)


class HealthDown(Measure):
    name, label, unit = "health_down", "Parts that are not well", "part"
    help = "Parts of the platform that /health calls degraded or unhealthy."
    permission = Permission.NOTIFICATIONS_WRITE
    listing = COMPONENTS
    has_history, has_window, is_count, for_organizations = False, False, True, False

    def parse(self, text: str, org_id: str = "") -> Query:
        query = super().parse(text, org_id)
        if any(term.key not in ("component", "status") for term in query.terms):
            raise Invalid.field("query", "takes component: and status:, no free text")
        return query

    def values(self, asked: Sequence[Asked]) -> list[Values | Broken]:
        down = [part for part in health.report().components if part.status != health.Status.HEALTHY]
        return [self._of(down, one) for one in asked]

    def _of(self, down: list[health.Component], asked: Asked) -> Values:
        query = self.parse(asked.query)
        found = [part for part in down if _matches(part, query)]
        if not asked.group_by:
            return {(): float(len(found))}
        return {tuple(_told(part, key) for key in asked.group_by): 1.0 for part in found}


def _told(part: health.Component, key: str) -> str:
    return part.name if key == "component" else str(part.status)


def _matches(part: health.Component, query: Query) -> bool:
    return matches({key: _told(part, key) for key in ("component", "status")}, query.terms)


class CheckerHeartbeat(Measure):
    name, label, unit = "checker_heartbeat", "Time without a check", "second"
    help = "How long rules were not checked: told when checks go on. While they don't, /health says so."
    permission = Permission.NOTIFICATIONS_WRITE
    listing = Listing(page="home", noun="check", keys=(), time="at", tie="at", text="at", text_heading="")
    has_history, for_organizations = False, False

    def parse(self, text: str, org_id: str = "") -> Query:
        if text.strip():
            raise Invalid.field("query", "has nothing to look for: leave it empty")
        return super().parse(text, org_id)

    def values(self, asked: Sequence[Asked]) -> list[Values | Broken]:
        state = heartbeat.load()
        until = state.away_until
        return [{(): state.away_seconds if until and one.start <= until <= one.end else 0.0} for one in asked]
