"""What changes organizations."""

from django.db import transaction

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.customers.models import Organization


@transaction.atomic
def create_organization(*, actor: Actor, org_id: str, name: str) -> Organization:
    organization = Organization(id=org_id, name=name)
    organization.full_clean()
    organization.save(force_insert=True)
    record(
        Action.ORGANIZATION_CREATED,
        actor=actor,
        resource_type="organization",
        resource_id=org_id,
        resource_name=name,
        org_id=org_id,
        after={"id": org_id, "name": name},
    )
    return organization
