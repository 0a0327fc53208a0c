"""Reading secrets: their names for people, their values for an organization's runs alone."""

from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.encryption import decrypt
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Secret


def visible_to(actor: Actor, permission: Permission = Permission.SECRETS_READ) -> QuerySet[Secret]:
    """Every one for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(Secret.objects.all(), permission)


def values_for_run(org_id: str) -> dict[str, str]:
    """Name -> value. For the worker that runs the organization's code. Raises NotDecryptable."""
    rows = Secret.objects.filter(organization=org_id).values_list("name", "encrypted")
    return {name: decrypt(encrypted) for name, encrypted in rows}
