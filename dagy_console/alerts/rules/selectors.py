"""Reading rules, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy_console.alerts.models import Rule
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Rule]:
    """Every rule for the platform's staff; for others those of the organizations in which they have the permission,
    never the platform's. Raises PermissionDenied."""
    return actor.scoped(Rule.objects.all(), permission)


def with_channels(rows: QuerySet[Rule]) -> QuerySet[Rule]:
    return rows.prefetch_related("channels", "rotations")


def get_rule(actor: Actor, rule_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ) -> Rule:
    """Raises PermissionDenied, NotFound."""
    rule = visible_to(actor, permission).filter(pk=rule_id).first()
    if rule is None:
        raise NotFound("There is no such rule, or it is not yours.")
    return rule
