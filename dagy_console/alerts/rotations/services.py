"""Making, changing and deleting rotations, and putting somebody else on call for a while."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from dagy_console.alerts import scope
from dagy_console.alerts.models import Channel, Override, Rotation
from dagy_console.alerts.on_call import going_on
from dagy_console.alerts.rotations import selectors
from dagy_console.alerts.rotations.terms import FURTHEST, LONGEST_REASON, Terms, name_of, wrong
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid, NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.core.times import to_rfc3339, to_second

MOST, MOST_OVERRIDES = 50, 100
LONGEST = timedelta(days=92)


@transaction.atomic
def create_rotation(*, actor: Actor, org_id: str, terms: Terms) -> Rotation:
    """`org_id` "" makes one of the platform, which only its staff may. Raises PermissionDenied, Invalid."""
    scope.require(actor, org_id)
    organization = scope.organization(org_id, is_held=True)
    others = Rotation.objects.filter(organization=organization)
    if others.count() >= MOST:
        raise Invalid.field("name", f"can't be added: there are {MOST} rotations already. Delete one that is not used")
    rotation = Rotation(organization=organization, created_by=actor.email)
    _keep(actor, rotation, terms, others, is_moved=True)
    _record(Action.ROTATION_CREATED, rotation, actor=actor, after=snapshot(rotation))
    return rotation


@transaction.atomic
def change_rotation(*, actor: Actor, rotation_id: uuid.UUID, **changes: Any) -> Rotation:
    """`changes` are any of the terms. With other turns and no other beginning, whoever has the turn keeps it until the
    next handover, and the order goes on from there; who is in it no more hands over to its first at once.

    Raises PermissionDenied, NotFound, Invalid.
    """
    rotation = _locked(actor, rotation_id)
    before = snapshot(rotation)
    terms = replace(_terms_of(rotation), **changes)
    if "channel_ids" in changes and "starts_at" not in changes:
        turns = [str(one) for one in terms.channel_ids]
        terms = replace(terms, starts_at=going_on(rotation, turns, timezone.now()))
    others = Rotation.objects.filter(organization=rotation.organization_id).exclude(pk=rotation.pk)
    _keep(actor, rotation, terms, others, is_moved="starts_at" in changes)
    after = snapshot(rotation)
    if after != before:
        _record(Action.ROTATION_CHANGED, rotation, actor=actor, before=before, after=after)
    return rotation


@transaction.atomic
def delete_rotation(*, actor: Actor, rotation_id: uuid.UUID) -> None:
    """With its overrides. Raises PermissionDenied, NotFound, Conflict (rules tell whoever is on call of it)."""
    known = selectors.get_rotation(actor, rotation_id, Permission.NOTIFICATIONS_WRITE)
    rotation = Rotation.objects.select_for_update(of=("self",)).get(pk=known.pk)
    names = ", ".join(selectors.rules_of(rotation).values_list("name", flat=True))
    if names:
        raise Conflict(f"Rules tell whoever is on call of it: {names}. Take it out of them first.")
    _record(Action.ROTATION_DELETED, rotation, actor=actor, before=snapshot(rotation))
    rotation.delete()


@transaction.atomic
def create_override(
    *,
    actor: Actor,
    rotation_id: uuid.UUID,
    channel_id: uuid.UUID,
    until: datetime,
    starts_at: datetime | None = None,
    reason: str = "",
) -> Override:
    """The channel is on call in place of whose turn it is; without `starts_at`, or where that is past, from now on.
    Both times are cut to the second.

    Raises PermissionDenied, NotFound, Invalid (past, too long or far, over another, no such channel, too many).
    """
    rotation = _locked(actor, rotation_id)
    now = _this_second()
    starts_at, until = max(now, starts_at or now).replace(microsecond=0), until.replace(microsecond=0)
    _refuse_times(starts_at, until, now)
    if len(reason.strip()) > LONGEST_REASON or not is_storable(reason):
        raise Invalid.field("reason", f"write up to {LONGEST_REASON} characters")
    ahead = rotation.overrides.filter(until__gt=now)
    other = ahead.filter(starts_at__lt=until, until__gt=starts_at).order_by("starts_at").first()
    if other:
        span = f"{to_second(other.starts_at)} to {to_second(other.until)}"
        raise Invalid.field("starts_at", f"is over another override, {span}: end that first, or leave its time out")
    if ahead.count() >= MOST_OVERRIDES:
        raise Invalid.field("starts_at", f"can't be added: there are {MOST_OVERRIDES} overrides ahead already")
    held = _held(actor, rotation.org_id, [channel_id])
    if not held:
        raise Invalid.field("channel_id", "must be a channel of the rotation's organization")
    override = Override.objects.create(
        rotation=rotation,
        channel=held[0],
        starts_at=starts_at,
        until=until,
        reason=reason.strip(),
        created_by=actor.email,
    )
    _record(Action.ROTATION_OVERRIDE_CREATED, rotation, actor=actor, reason=override.reason, after=_said(override))
    return override


@transaction.atomic
def end_override(*, actor: Actor, rotation_id: uuid.UUID, override_id: uuid.UUID) -> None:
    """Now: whose turn it is is on call again. One that has not begun is gone. Raises PermissionDenied, NotFound,
    Conflict (it is over)."""
    rotation = _locked(actor, rotation_id)
    override = rotation.overrides.select_related("channel").filter(pk=override_id).first()
    if override is None:
        raise NotFound("There is no such override of this rotation.")
    now = _this_second()
    if override.until <= now:
        raise Conflict("It is over already.")
    before = _said(override)
    if override.starts_at <= now:
        override.until = now
        override.save(update_fields=["until"])
    else:
        override.delete()
    _record(Action.ROTATION_OVERRIDE_ENDED, rotation, actor=actor, reason=override.reason, before=before)


def snapshot(rotation: Rotation) -> dict[str, Any]:
    """For the record."""
    return {
        "name": rotation.name,
        "channel_ids": rotation.channel_ids,
        "time_zone": rotation.time_zone,
        "starts_at": to_rfc3339(rotation.starts_at),
    }


def _said(override: Override) -> dict[str, Any]:
    return {
        "channel": override.channel.name,
        "starts_at": to_rfc3339(override.starts_at),
        "until": to_rfc3339(override.until),
    }


def _terms_of(rotation: Rotation) -> Terms:
    turns = [uuid.UUID(one) for one in rotation.channel_ids]
    return Terms(rotation.name, turns, rotation.time_zone, rotation.starts_at)


def _locked(actor: Actor, rotation_id: uuid.UUID) -> Rotation:
    """Whoever writes a rotation or its overrides holds its row."""
    known = selectors.get_rotation(actor, rotation_id, Permission.NOTIFICATIONS_WRITE)
    return Rotation.objects.select_for_update(no_key=True, of=("self",)).get(pk=known.pk)


def _held(actor: Actor, org_id: str, channel_ids: list[uuid.UUID]) -> list[Channel]:
    """Those that there are. Whoever deletes one holds it, too, and finds the rotation behind this."""
    rows = selectors.channels_for(actor, org_id).filter(pk__in=channel_ids)
    return list(rows.order_by("pk").select_for_update(no_key=True, of=("self",)))


def _keep(actor: Actor, rotation: Rotation, terms: Terms, others: Any, *, is_moved: bool) -> None:
    """Raises Invalid that names every field that is wrong."""
    found = _held(actor, rotation.org_id, list(terms.channel_ids))
    is_taken = others.filter(name=name_of(terms)).exists()
    errors = wrong(terms, known=len(found), is_taken=is_taken, is_moved=is_moved)
    if errors:
        raise Invalid("The rotation can't be kept so.", errors=errors)
    rotation.name, rotation.time_zone = name_of(terms), terms.time_zone
    rotation.starts_at = terms.starts_at.replace(microsecond=0)
    rotation.channel_ids = [str(one) for one in terms.channel_ids]
    rotation.save()
    rotation.channels.set(found)


def _this_second() -> datetime:
    """No override ends within a second in which another begins."""
    return timezone.now().replace(microsecond=0)


def _refuse_times(starts_at: datetime, until: datetime, now: datetime) -> None:
    if until <= now:
        raise Invalid.field("until", "is past: nobody can be put on call for what is over")
    if not starts_at < until <= starts_at + LONGEST:
        raise Invalid.field("until", f"must be after it begins, and no more than {LONGEST.days} days after")
    if starts_at > now + FURTHEST:
        raise Invalid.field("starts_at", f"must be within {FURTHEST.days} days of now")


def _record(action: Action, rotation: Rotation, *, actor: Actor, **told: Any) -> None:
    record(
        action,
        actor=actor,
        resource_type="rotation",
        resource_id=str(rotation.pk),
        resource_name=rotation.name,
        org_id=rotation.org_id,
        **told,
    )
