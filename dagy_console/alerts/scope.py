"""Whose channels and rules somebody may write."""

from dagy_console.accounts.models import Organization
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid, PermissionDenied
from dagy_console.core.permissions import Permission


def require(actor: Actor, org_id: str) -> None:
    """Of an organization, or with "" of the platform. Raises PermissionDenied."""
    if org_id:
        actor.require(Permission.NOTIFICATIONS_WRITE, org_id=org_id)
        return
    actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    if not actor.is_platform:
        raise PermissionDenied(Permission.NOTIFICATIONS_WRITE, org_id="the platform")


def organization(org_id: str, *, is_held: bool) -> Organization | None:
    """None for the platform. `is_held`: locked, so that nobody else adds to it at the same time. Raises Invalid."""
    if not org_id:
        return None
    rows = Organization.objects.select_for_update(no_key=True) if is_held else Organization.objects.all()
    found = rows.filter(pk=org_id).first()
    if found is None:
        raise Invalid.field("org_id", f"there is no organization {org_id}")
    return found


def organizations(actor: Actor) -> list[tuple[str, str]]:
    """Choices of a form: for the staff the platform and every organization."""
    if actor.is_platform:
        known = Organization.objects.order_by("id").values_list("id", flat=True)[:500]
        return [("", "The platform"), *((org, org) for org in known)]
    return [(org, org) for org in sorted(actor.orgs_with(Permission.NOTIFICATIONS_WRITE))]
