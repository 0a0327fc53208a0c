"""Reading flows and deployments, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Deployment, Flow


def flows_visible_to(actor: Actor) -> QuerySet[Flow]:
    """Every flow for the platform's staff; for others those of their organizations. Raises PermissionDenied."""
    actor.require_somewhere(Permission.FLOWS_READ)
    flows = Flow.objects.select_related("latest")
    return flows if actor.is_platform else flows.filter(organization__in=actor.orgs_with(Permission.FLOWS_READ))


def get_flow(actor: Actor, flow_id: uuid.UUID) -> Flow:
    """Raises PermissionDenied, NotFound."""
    flow = flows_visible_to(actor).filter(pk=flow_id).first()
    if flow is None:
        raise NotFound("There is no such flow, or it is not yours to see.")
    return flow


def deployments_visible_to(actor: Actor) -> QuerySet[Deployment]:
    """Raises PermissionDenied."""
    actor.require_somewhere(Permission.FLOWS_READ)
    rows = Deployment.objects.select_related("flow")
    return rows if actor.is_platform else rows.filter(organization__in=actor.orgs_with(Permission.FLOWS_READ))
