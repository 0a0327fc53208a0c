"""Reading customers: for the platform's staff alone."""

from dataclasses import dataclass
from typing import Any

from allauth.usersessions.models import UserSession
from django.db.models import Case, Count, Exists, IntegerField, Max, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Concat, Greatest, Now

from dagy_console.accounts.models import ApiKey, Membership, Organization, Suspension
from dagy_console.accounts.selectors import live_tokens, owners_of, suspensions_in_force
from dagy_console.accounts.sessions.selectors import live as live_sessions
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission, Role
from dagy_console.customers import registry
from dagy_console.customers.search import ACTIVE, SUSPENDED


def visible_to(actor: Actor) -> QuerySet[Organization]:
    """Every customer, with `status`. Raises PermissionDenied."""
    actor.require(Permission.CUSTOMERS_READ)
    suspended = Exists(suspensions_in_force().filter(organization=OuterRef("pk")))
    return Organization.objects.annotate(
        search_text=Concat("id", Value(" "), "name"),
        status=Case(When(suspended, then=Value(SUSPENDED)), default=Value(ACTIVE)),
    )


def with_health(rows: QuerySet[Organization]) -> QuerySet[Organization]:
    """With `members`, `last_activity`, and the figures that the apps tell."""
    members = Membership.objects.filter(organization=OuterRef("pk")).values("organization")
    seen = UserSession.objects.filter(user__memberships__organization=OuterRef("pk")).values(
        "user__memberships__organization"
    )
    # Greatest leaves out what is not there: who has signed out has left entries.
    done = AuditEntry.objects.filter(org_id=OuterRef("pk"), actor_role__in=Role).order_by("-at")
    return rows.annotate(
        members=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0),
        last_activity=Greatest(
            Subquery(seen.annotate(at=Max("last_seen_at")).values("at")), Subquery(done.values("at")[:1])
        ),
        **{figure.name: figure.count() for figure in registry.figures.values()},
    )


def get_customer(actor: Actor, org_id: str) -> Any:
    """With its health. Raises PermissionDenied, NotFound."""
    customer = with_health(visible_to(actor)).filter(pk=org_id).first()
    if customer is None:
        raise NotFound("There is no such organization.")
    return customer


def suspension_of(actor: Actor, org_id: str) -> Suspension | None:
    """The suspension that holds now."""
    actor.require(Permission.CUSTOMERS_READ)
    return suspensions_in_force().filter(organization=org_id).first()


def members_of(actor: Actor, org_id: str, *, limit: int = 100) -> list[Membership]:
    """The first members, owners first, with when they were last here (`seen_at`)."""
    actor.require(Permission.CUSTOMERS_READ)
    seen = UserSession.objects.filter(user=OuterRef("user")).order_by("-last_seen_at").values("last_seen_at")[:1]
    rows = Membership.objects.filter(organization=org_id).select_related("user").annotate(seen_at=Subquery(seen))
    by_role = Case(*(When(role=role, then=Value(place)) for place, role in enumerate(Role)))
    return list(rows.order_by(by_role, "user__email")[:limit])


@dataclass(frozen=True, slots=True)
class Preview:
    """What a suspension would hit. `hits` are (noun, count); `elsewhere` counts the members who go on in another
    organization, whose sessions and tokens open no door to this one any more; `owners` would get a mail."""

    hits: list[tuple[str, str, int]]
    elsewhere: int
    owners: list[str]


def suspension_preview(actor: Actor, org_id: str) -> Preview:
    """Raises PermissionDenied, NotFound."""
    actor.require(Permission.CUSTOMERS_SUSPEND)
    get_customer(actor, org_id)
    members = Membership.objects.filter(organization=org_id, user__is_active=True)
    users = members.values("user")
    held = suspensions_in_force().values("organization")
    others = (
        Membership.objects.filter(user=OuterRef("user")).exclude(organization=org_id).exclude(organization__in=held)
    )
    own = [
        ("members", "member", members.count()),
        ("sessions", "session", live_sessions().filter(user__in=users).count()),
        ("access_tokens", "access token", live_tokens(users).count()),
        ("api_keys", "API key", live_keys(org_id).count()),
    ]
    more = [(hit.name, hit.noun, hit.count(org_id)) for hit in registry.hits.values()]
    return Preview([*own, *more], members.filter(Exists(others)).count(), owners_of([org_id]))


def live_keys(org_id: str) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(organization=org_id, revoked_at=None, expires_at__gt=Now())
