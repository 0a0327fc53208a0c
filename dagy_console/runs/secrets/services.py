"""Keeping and deleting secrets. A value is never told again: not on a page, nor by the API, nor in the audit log."""

import re

from django.db import transaction

from dagy_console.accounts.models import Organization
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.encryption import encrypt
from dagy_console.core.errors import FieldError, Invalid, NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Secret
from dagy_console.runs.secrets import selectors

# What is shorter can't be masked in a log without harm to everything else in it.
SHORTEST, LONGEST, MOST = 4, 32_000, 200
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_OURS = re.compile(r"(PATH|HOME|LANG|TMPDIR|SHELL|USER|IFS)$|(PYTHON|LD_|DAGY_|LC_|DYLD_)")


@transaction.atomic
def keep_secret(*, actor: Actor, org_id: str, name: str, value: str) -> Secret:
    """Make it, or give it another value. Runs that begin from now on find it in their environment, by its name.

    Raises PermissionDenied, Invalid (the name, the value, or too many of them).
    """
    actor.require(Permission.SECRETS_WRITE, org_id=org_id)
    _check(name, value)
    organization = Organization.objects.select_for_update(no_key=True).filter(pk=org_id).first()
    if organization is None:
        raise Invalid.field("org_id", f"there is no organization {org_id}")
    before = Secret.objects.filter(organization=organization, name=name).first()
    if before is None and Secret.objects.filter(organization=organization).count() >= MOST:
        raise Invalid.field("name", f"can't be added: {org_id} has {MOST} secrets already. Delete one that is not used")
    told = before.snapshot() if before else None
    secret, _ = Secret.objects.update_or_create(
        organization=organization, name=name, defaults={"encrypted": encrypt(value), "updated_by": actor.email}
    )
    _record(Action.SECRET_KEPT, secret, actor=actor, before=told)
    return secret


@transaction.atomic
def delete_secret(*, actor: Actor, org_id: str, name: str) -> None:
    """Raises PermissionDenied, NotFound."""
    actor.require(Permission.SECRETS_WRITE, org_id=org_id)
    rows = selectors.visible_to(actor, Permission.SECRETS_WRITE).filter(organization=org_id)
    secret = rows.filter(name=name).first() if is_storable(name) else None
    if secret is None:
        raise NotFound("There is no such secret.")
    _record(Action.SECRET_DELETED, secret, actor=actor, before=secret.snapshot())
    secret.delete()


def _check(name: str, value: str) -> None:
    errors = []
    if not _NAME.fullmatch(name):
        errors.append(
            FieldError("name", "must be capitals, digits and _, beginning with a letter, such as DB_PASSWORD")
        )
    elif _OURS.match(name):
        errors.append(FieldError("name", "is one that the run's own environment needs: choose another"))
    if not SHORTEST <= len(value) <= LONGEST or not is_storable(value):
        errors.append(FieldError("value", f"must have {SHORTEST} to {LONGEST:,} characters, without NUL"))
    if errors:
        raise Invalid("The secret can't be kept so.", errors=errors)


def _record(action: Action, secret: Secret, *, actor: Actor, before: dict[str, str] | None) -> None:
    record(
        action,
        actor=actor,
        resource_type="secret",
        resource_id=secret.name,
        resource_name=secret.name,
        org_id=secret.organization_id,
        before=before,
        after=secret.snapshot() if action is Action.SECRET_KEPT else None,
    )
