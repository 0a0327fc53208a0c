"""Reading organizations and people."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from dagy_console.accounts.models import AccessToken, Membership, Suspension
from dagy_console.core.permissions import Role
from dagy_console.core.times import to_minute


def suspensions_in_force() -> QuerySet[Suspension]:
    """Those that hold now: not lifted, and not past their end, whether or not that was written down yet."""
    return Suspension.objects.filter(Q(until=None) | Q(until__gt=Now()), lifted_at=None)


def suspensions_of(org_ids: Collection[str]) -> list[Suspension]:
    rows = suspensions_in_force().filter(organization__in=org_ids)
    return list(rows.select_related("organization").order_by("organization_id"))


def in_words(suspension: Suspension) -> str:
    """What a member of the organization is told."""
    until = f" until {to_minute(suspension.until)}" if suspension.until else ""
    note = f" {suspension.note.strip()}" if suspension.note.strip() else ""
    name = suspension.organization.name
    return f"{name} is suspended{until}: nobody of it can use Dagy.{note} Ask {settings.SUPPORT_CONTACT}."


def owners_of(org_ids: Any) -> list[str]:
    """The addresses of the owners of these organizations."""
    rows = Membership.objects.filter(organization__in=org_ids, role=Role.OWNER, user__is_active=True)
    return sorted(set(rows.values_list("user__email", flat=True)))


def live_tokens(users: Any) -> QuerySet[AccessToken]:
    """The access tokens of these people that open a door now."""
    return AccessToken.objects.filter(user__in=users, revoked_at=None, expires_at__gt=Now())
