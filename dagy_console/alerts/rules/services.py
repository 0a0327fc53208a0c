"""Making, changing and deleting rules."""

import uuid
from dataclasses import asdict, replace
from typing import Any

from django.db import transaction

from dagy_console.accounts.models import Organization
from dagy_console.alerts import hours, lifecycle, measures
from dagy_console.alerts.channels import selectors as channels
from dagy_console.alerts.models import Channel, NoData, Op, Rule, Severity
from dagy_console.alerts.rules import selectors
from dagy_console.alerts.rules.terms import LONGEST_NAME, Terms, terms_of
from dagy_console.alerts.scope import require
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import FieldError, Invalid
from dagy_console.core.permissions import Permission

MOST = 200
MINUTE, WEEK, MONTH = 60, 7 * 86_400, 31 * 86_400
MOST_DIMENSIONS = 2


@transaction.atomic
def create_rule(*, actor: Actor, org_id: str, terms: Terms) -> Rule:
    """`org_id` "" makes one of the platform, which only its staff may. Raises PermissionDenied, Invalid."""
    require(actor, org_id)
    organization = Organization.objects.select_for_update(no_key=True).filter(pk=org_id).first() if org_id else None
    if org_id and organization is None:
        raise Invalid.field("org_id", f"there is no organization {org_id}")
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
    return told | {"channel_ids": [str(one) for one in told["channel_ids"]], "group_by": list(told["group_by"])}


def _checked(actor: Actor, org_id: str, terms: Terms, others: Any) -> list[Channel]:
    """The channels. Raises Invalid that names every field that is wrong, PermissionDenied."""
    measure = measures.get(terms.measure)
    if org_id:
        actor.require(measure.permission, org_id=org_id)
    measure.parse(terms.query, org_id)
    if terms.hours is not None:
        hours.parse(terms.hours)
    errors = [
        FieldError(name, message)
        for name, is_wrong, message in (
            ("name", not 1 <= len(_name_of(terms)) <= LONGEST_NAME, f"write 1 to {LONGEST_NAME} characters"),
            ("name", others.filter(name=_name_of(terms)).exists(), "is taken: there is a rule of this name"),
            ("measure", bool(org_id) and not measure.for_organizations, "is the platform's alone"),
            ("window_seconds", not MINUTE <= terms.window_seconds <= MONTH, "must be a minute to 31 days"),
            ("for_seconds", not 0 <= terms.for_seconds <= WEEK, "must be 0 to a week"),
            ("repeat_seconds", 0 < terms.repeat_seconds < MINUTE, "must be 0 (never) or a minute and more"),
            ("repeat_seconds", not 0 <= terms.repeat_seconds <= WEEK, "must be 0 to a week"),
            ("condition", terms.op not in Op.values, f"op must be one of {', '.join(Op.values)}"),
            ("condition", not 0 <= terms.value < 1e12, "value must be 0 or more"),
            ("condition", terms.op == Op.BELOW and terms.value <= 0, "nothing is below 0: it would never fire"),
            ("condition", terms.op == Op.CHANGE and not measure.has_history, f"{measure.name} has no window before"),
            ("condition", _is_beyond_window(measure, terms), "value is more than the window: it would never fire"),
            ("no_data", terms.no_data not in NoData.values, f"must be one of {', '.join(NoData.values)}"),
            ("severity", terms.severity not in Severity.values, f"must be one of {', '.join(Severity.values)}"),
            *_wrong_dimensions(measure, org_id, terms),
        )
        if is_wrong
    ]
    asked = set(terms.channel_ids)
    found = list(channels.visible_to(actor, Permission.NOTIFICATIONS_WRITE).filter(pk__in=asked))
    if {channel.pk for channel in found} != asked or any(channel.org_id not in ("", org_id) for channel in found):
        errors.append(FieldError("channel_ids", "must be channels of the same organization, or of the platform"))
    if errors:
        raise Invalid("The rule can't be kept so.", errors=errors)
    return found


def _is_beyond_window(measure: measures.Measure, terms: Terms) -> bool:
    looks_back_no_further = measure.name == "no_success_since"
    return looks_back_no_further and terms.op == Op.ABOVE and terms.value >= terms.window_seconds


def _wrong_dimensions(measure: measures.Measure, org_id: str, terms: Terms) -> list[tuple[str, bool, str]]:
    known = measure.dimensions(org_id)
    unknown = [name for name in terms.group_by if name not in known]
    return [
        ("group_by", bool(unknown), f"{measure.name} has {', '.join(known) or 'none'}"),
        ("group_by", len(set(terms.group_by)) != len(terms.group_by), "names one twice"),
        ("group_by", len(terms.group_by) > MOST_DIMENSIONS, f"takes {MOST_DIMENSIONS} at most"),
        ("group_by", terms.op == Op.BELOW and bool(terms.group_by), "a value that is gone is not below: leave it out"),
    ]


def _name_of(terms: Terms) -> str:
    """As it is kept, and compared."""
    return " ".join(terms.name.split())


def _keep(rule: Rule, terms: Terms, found: list[Channel]) -> None:
    for name in Terms.__dataclass_fields__:
        if name != "channel_ids":
            setattr(rule, name, getattr(terms, name))
    rule.name, rule.group_by = _name_of(terms), list(terms.group_by)
    rule.save()
    rule.channels.set(found)


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
