"""Making, changing and deleting rules."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from django.db import transaction

from dagy_console.alerts import lifecycle, scope
from dagy_console.alerts.channels import selectors as channels
from dagy_console.alerts.models import Channel, Rotation, Rule
from dagy_console.alerts.rotations import selectors as rotations
from dagy_console.alerts.rules import selectors
from dagy_console.alerts.rules.terms import LONGEST_NAME, RELATIONS, Terms, terms_of
from dagy_console.alerts.rules.validating import channels_of, name_of, refuse, rotations_of, set_terms, wrong
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import FieldError, Invalid
from dagy_console.core.permissions import Permission

MOST = 200
_NEAR = "of the same organization, or of the platform"
# What a rule tells at once: its channels, and whoever is on call of its rotations.
Told = tuple[list[Channel], list[Rotation]]


@transaction.atomic
def create_rule(*, actor: Actor, org_id: str, terms: Terms) -> Rule:
    """`org_id` "" makes one of the platform, which only its staff may. Raises PermissionDenied, Invalid."""
    scope.require(actor, org_id)
    organization = scope.organization(org_id, is_held=True)
    others = Rule.objects.filter(organization=organization)
    if others.count() >= MOST:
        raise Invalid.field("name", f"can't be added: there are {MOST} rules already. Delete one that is not used")
    rule = Rule(organization=organization, created_by=actor.email)
    found = _checked(actor, org_id, terms, others)
    _keep(rule, terms, found)
    _record(Action.RULE_CREATED, rule, actor=actor, after=snapshot(rule))
    return rule


@transaction.atomic
def change_rule(*, actor: Actor, rule_id: uuid.UUID, **changes: Any) -> Rule:
    """`changes` are any of the terms. What fires goes on, and clears by the new terms at the next check; of a rule that
    is turned off it is resolved, and told.

    Raises PermissionDenied, NotFound, Invalid.
    """
    known = selectors.get_rule(actor, rule_id, Permission.NOTIFICATIONS_WRITE)
    rule = Rule.objects.select_for_update(no_key=True, of=("self",)).get(pk=known.pk)
    before = snapshot(rule)
    terms = replace(terms_of(rule), **changes)
    others = Rule.objects.filter(organization=rule.organization_id).exclude(pk=rule.pk)
    found = _checked(actor, rule.org_id, terms, others)
    _keep(rule, terms, found)
    if not rule.enabled:
        lifecycle.end_all(rule, by=actor.email)
    after = snapshot(rule)
    if after != before:
        _record(Action.RULE_CHANGED, rule, actor=actor, before=before, after=after)
    return rule


@transaction.atomic
def delete_rule(*, actor: Actor, rule_id: uuid.UUID) -> None:
    """With its alerts: what fires is told to be over. What was sent stays. Raises PermissionDenied, NotFound."""
    known = selectors.get_rule(actor, rule_id, Permission.NOTIFICATIONS_WRITE)
    rule = Rule.objects.select_for_update(of=("self",)).get(pk=known.pk)
    lifecycle.end_all(rule, by=actor.email)
    _record(Action.RULE_DELETED, rule, actor=actor, before=snapshot(rule))
    rule.delete()


def snapshot(rule: Rule) -> dict[str, Any]:
    """For the record."""
    told = asdict(terms_of(rule))
    ids = {name: [str(one) for one in told[name]] for name in RELATIONS}
    return told | ids | {"group_by": list(told["group_by"])}


def _checked(actor: Actor, org_id: str, terms: Terms, others: Any) -> Told:
    """Raises Invalid that names every field that is wrong, PermissionDenied."""
    asked_channels, asked_rotations = channels_of(terms), rotations_of(terms)
    found = list(channels.visible_to(actor, Permission.NOTIFICATIONS_WRITE).filter(pk__in=asked_channels))
    seen = rotations.visible_to(actor, Permission.NOTIFICATIONS_WRITE).filter(pk__in=asked_rotations)
    # Whoever deletes one waits for this: a step refers to it as JSON alone.
    on_call = list(seen.order_by("pk").select_for_update(no_key=True))
    name = name_of(terms)
    more = (
        ("name", not 1 <= len(name) <= LONGEST_NAME, f"write 1 to {LONGEST_NAME} characters"),
        ("name", others.filter(name=name).exists(), "is taken: there is a rule of this name"),
        ("channel_ids", _are_foreign(found, asked_channels, org_id), f"must be channels {_NEAR}"),
        ("rotation_ids", _are_foreign(on_call, asked_rotations, org_id), f"must be rotations {_NEAR}"),
    )
    refuse([*wrong(actor, org_id, terms), *(FieldError(name, message) for name, is_wrong, message in more if is_wrong)])
    told = {str(one) for one in (*terms.channel_ids, *terms.rotation_ids)}
    return [one for one in found if str(one.pk) in told], [one for one in on_call if str(one.pk) in told]


def _are_foreign(found: Sequence[Channel | Rotation], asked: set[str], org_id: str) -> bool:
    return {str(one.pk) for one in found} != asked or any(one.org_id not in ("", org_id) for one in found)


def _keep(rule: Rule, terms: Terms, told: Told) -> None:
    set_terms(rule, terms)
    rule.save()
    rule.channels.set(told[0])
    rule.rotations.set(told[1])


def _record(action: Action, rule: Rule, *, actor: Actor, **told: Any) -> None:
    record(
        action,
        actor=actor,
        resource_type="rule",
        resource_id=str(rule.pk),
        resource_name=rule.name,
        org_id=rule.org_id,
        **told,
    )
