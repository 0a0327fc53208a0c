"""Which organization a call is about."""

from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission


def org_of(actor: Actor, org_id: str | None, permission: Permission) -> str:
    """Where no organization is named, the only one that the actor is in. Raises PermissionDenied, Invalid."""
    found = org_id or actor.org_id
    if not found:
        actor.require_somewhere(permission)
        raise Invalid.field("org_id", "say for which organization")
    return found
