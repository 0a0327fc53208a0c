"""Suspending an organization and lifting it: nobody of it gets in anywhere, from the next request on.

What stops is decided where each request finds out who acts (accounts/credentials.py); here is the record of it.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.accounts.models import Organization, RunningRuns, Suspension
from dagy_console.accounts.selectors import owners_of
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import mail, reasons
from dagy_console.core.actors import SYSTEM, Actor
from dagy_console.core.errors import Conflict, Invalid, NotFound
from dagy_console.core.permissions import Permission
from dagy_console.customers import registry


@transaction.atomic
def suspend(
    *,
    actor: Actor,
    org_id: str,
    reason: str,
    note: str = "",
    until: datetime | None = None,
    running_runs: str = RunningRuns.FINISH,
) -> Suspension:
    """Keep everybody of the organization out, until `until` (None: until it is lifted). Its owners get a mail.

    Raises PermissionDenied, NotFound, Conflict where it is suspended already, Invalid: no reason, an end that is past.
    """
    actor.require(Permission.CUSTOMERS_SUSPEND)
    reason, note = reasons.checked(reason), reasons.checked_text(note, field="note")
    if until and until <= timezone.now():
        raise Invalid.field("until", "lies in the past: give a time to come, or none. Nothing was changed.")
    if running_runs not in RunningRuns.values:
        raise Invalid.field("running_runs", f"write {' or '.join(RunningRuns.values)}")
    organization = _locked(org_id)
    if _current(organization):
        raise Conflict(f"{organization.name} is suspended already. Nothing was changed.")
    suspension = Suspension.objects.create(
        organization=organization,
        reason=reason,
        note=note,
        until=until,
        running_runs=running_runs,
        suspended_by=actor.email or actor.kind,
    )
    _record(Action.ORGANIZATION_SUSPENDED, suspension, actor=actor, before={"suspended": False}, reason=reason)
    _tell(suspension, registry.on_suspended, "organization_suspended", f"{organization.name} is suspended on Dagy")
    return suspension


@transaction.atomic
def unsuspend(*, actor: Actor, org_id: str, reason: str) -> Suspension:
    """Let the organization in again. Raises PermissionDenied, NotFound, Invalid, Conflict where it is not suspended."""
    actor.require(Permission.CUSTOMERS_SUSPEND)
    reason = reasons.checked(reason)
    organization = _locked(org_id)
    suspension = _current(organization)
    if suspension is None:
        raise Conflict(f"{organization.name} is not suspended. Nothing was changed.")
    _lift(suspension, actor=actor, reason=reason)
    return suspension


def lift_due() -> int:
    """Put on record that the suspensions whose end has come are over; how many. Two at once share them."""
    due = Suspension.objects.filter(lifted_at=None, until__lte=Now()).values_list("organization_id", flat=True)
    return sum(_lift_if_due(org_id) for org_id in list(due))


@transaction.atomic
def _lift_if_due(org_id: str) -> bool:
    organization = _locked(org_id)
    before = Suspension.objects.filter(organization=organization, lifted_at=None).count()
    return before > 0 and _current(organization) is None


def _locked(org_id: str) -> Organization:
    """The organization, held until the transaction ends, so that suspending and lifting come one after the other."""
    organization = Organization.objects.select_for_update().filter(pk=org_id).first()
    if organization is None:
        raise NotFound("There is no such organization.")
    return organization


def _current(organization: Organization) -> Suspension | None:
    """The suspension that holds; one whose end has come is put down as over first."""
    suspension = (
        Suspension.objects.select_related("organization").filter(organization=organization, lifted_at=None).first()
    )
    if suspension and suspension.until and suspension.until <= timezone.now():
        _lift(suspension, actor=SYSTEM, reason="its end has come", at=suspension.until)
        return None
    return suspension


def _lift(suspension: Suspension, *, actor: Actor, reason: str, at: datetime | None = None) -> None:
    before = suspension.snapshot()
    suspension.lifted_at = at or timezone.now()
    suspension.lifted_by = actor.email or actor.kind
    suspension.lift_reason = reason
    suspension.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    _record(Action.ORGANIZATION_UNSUSPENDED, suspension, actor=actor, before=before, reason=reason)
    name = suspension.organization.name
    _tell(suspension, registry.on_lifted, "organization_unsuspended", f"{name} is open again on Dagy")


def _record(action: Action, suspension: Suspension, *, actor: Actor, before: dict[str, object], reason: str) -> None:
    record(
        action,
        actor=actor,
        resource_type="organization",
        resource_id=suspension.organization_id,
        resource_name=suspension.organization.name,
        org_id=suspension.organization_id,
        before=before,
        after=suspension.snapshot(),
        reason=reason,
    )


def _tell(suspension: Suspension, watchers: list[Callable[[Suspension], None]], template: str, subject: str) -> None:
    """The apps, in this transaction, and the owners by mail, once it is committed."""
    for watcher in watchers:
        watcher(suspension)
    owners = owners_of([suspension.organization_id])
    if owners:
        mail.send(to=owners, subject=subject, template=template, context={"suspension": suspension})
