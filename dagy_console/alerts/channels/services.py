"""Making, changing, testing and deleting channels. What is secret in them is told once, by whoever makes it."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dagy_console.alerts import outbox, recipients, scope
from dagy_console.alerts.channels import selectors
from dagy_console.alerts.kinds import KINDS, webhook
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Channel, ChannelType, Delivery, Rotation, Rule, Severity
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import destinations
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid, TooManyRequests
from dagy_console.core.permissions import Permission
from dagy_console.core.times import to_rfc3339

MOST, LONGEST_NAME = 50, 100
# Of one organization, or of the platform, within a minute.
MOST_TESTS = 20


@transaction.atomic
def create_channel(
    *, actor: Actor, org_id: str, name: str, channel_type: str, config: dict[str, Any], is_last_resort: bool = False
) -> Channel:
    """`org_id` "" makes one of the platform, which only its staff may.

    Raises PermissionDenied; Invalid (the name, the type, the config, too many).
    """
    scope.require(actor, org_id)
    if channel_type not in KINDS:
        raise Invalid.field("channel_type", f"must be one of {', '.join(ChannelType.values)}")
    organization = scope.organization(org_id, is_held=True)
    channel = Channel(organization=organization, name=_name(name), channel_type=channel_type, created_by=actor.email)
    channel.is_last_resort = is_last_resort
    channel.config = KINDS[channel_type].checked(config)
    others = Channel.objects.filter(organization=organization)
    _refuse_name(others, channel)
    if others.count() >= MOST:
        raise Invalid.field("name", f"can't be added: there are {MOST} channels already. Delete one that is not used")
    channel.save()
    recipients.follow(channel, by=actor.email)
    _record(Action.CHANNEL_CREATED, channel, actor=actor, after=snapshot(channel))
    return channel


@transaction.atomic
def change_channel(*, actor: Actor, channel_id: uuid.UUID, **changes: Any) -> Channel:
    """`changes` are any of `name`, `is_last_resort`, `config`. A config is given whole; what it leaves out of secrets
    stays. Raises PermissionDenied, NotFound, Invalid."""
    channel = _locked(actor, channel_id)
    before = snapshot(channel)
    if "name" in changes:
        channel.name = _name(changes["name"])
        _refuse_name(Channel.objects.filter(organization=channel.organization_id).exclude(pk=channel.pk), channel)
    if "is_last_resort" in changes:
        channel.is_last_resort = changes["is_last_resort"]
    changed_config = "config" in changes
    if changed_config:
        kept = {name: value for name, value in channel.config.items() if "secret" in name}
        channel.config = KINDS[channel.channel_type].checked(kept | changes["config"])
        channel.problem = channel.problem_of = ""
        channel.failing_since = channel.off_since = channel.proven_at = None
    after = snapshot(channel) | ({"config_changed": True} if changed_config else {})
    if after == before:
        return channel
    channel.save()
    if changed_config:
        recipients.follow(channel, by=actor.email)
        _forget_failures(channel)
    _record(Action.CHANNEL_CHANGED, channel, actor=actor, before=before, after=after)
    return channel


@transaction.atomic
def rotate_secret(*, actor: Actor, channel_id: uuid.UUID) -> str:
    """Another secret of a webhook, told once. Messages are signed with the old one, too, until the next rotation.

    Raises PermissionDenied, NotFound, Conflict (no webhook).
    """
    channel = _locked(actor, channel_id)
    if channel.channel_type != ChannelType.WEBHOOK:
        raise Conflict("Only a webhook signs what it sends, and has a secret to rotate.")
    config = channel.config
    secret = webhook.new_secret()
    channel.config = config | {"secret": secret, "previous_secret": config["secret"]}
    channel.save()
    _record(Action.CHANNEL_SECRET_ROTATED, channel, actor=actor)
    return secret


@transaction.atomic
def delete_channel(*, actor: Actor, channel_id: uuid.UUID) -> None:
    """With what was sent by it, and what waits to be. Rules go on without it; of a rotation it must be taken out first,
    for each of its weeks somebody is to be told. Raises PermissionDenied, NotFound, Conflict (it is on call, or is to
    be)."""
    channel = _locked(actor, channel_id)
    _refuse_on_call(channel)
    # Whoever settles one of them has it first; one that is being sent meanwhile finds nothing to settle.
    list(channel.deliveries.select_for_update().order_by("number").values_list("number", flat=True))
    _record(Action.CHANNEL_DELETED, channel, actor=actor, before=snapshot(channel))
    _take_out_of_steps(channel)
    _forget_failures(channel)
    channel.delete()


def _take_out_of_steps(channel: Channel) -> None:
    """A step that told nobody else is no step any more."""
    gone = str(channel.pk)
    rules = Rule.objects.filter(escalation__contains=[{"channel_ids": [gone]}]).order_by("pk")
    for rule in rules.select_for_update(no_key=True, of=("self",)):
        steps = [
            step | {"channel_ids": [one for one in step["channel_ids"] if one != gone]} for step in rule.escalation
        ]
        rule.escalation = [step for step in steps if step["channel_ids"] or step.get("rotation_ids")]
        rule.save(update_fields=["escalation", "updated_at"])


@transaction.atomic
def test_channel(*, actor: Actor, channel_id: uuid.UUID) -> Delivery:
    """Send a message that says it is a test. Its delivery tells the answer.

    Raises PermissionDenied, NotFound, TooManyRequests.
    """
    channel = _locked(actor, channel_id)
    _require_few_tests(channel)
    _record(Action.CHANNEL_TESTED, channel, actor=actor)
    test = f"test:{uuid.uuid4()}"
    message = Message(
        event=Event.TEST,
        severity=Severity.INFO,
        subject=test,
        title=f"Test of the channel {channel.name}",
        text=f"{actor.email} asked for it. If you can read this, alerts will reach you here.",
        at=to_rfc3339(timezone.now()),
        link=f"{settings.BASE_URL}/console/alerts/channels/{channel.pk}/",
        org_id=channel.org_id,
    )
    destinations.wake(channel.destination)
    return outbox.post(channel, message, key=test)


def _forget_failures(channel: Channel) -> None:
    """It leads elsewhere now, or nowhere. The mail server stays what it is."""
    if channel.channel_type != ChannelType.EMAIL:
        destinations.forget(channel.destination)


def _require_few_tests(channel: Channel) -> None:
    """Raises TooManyRequests."""
    lately = Delivery.objects.filter(created_at__gt=timezone.now() - timedelta(minutes=1), subject__startswith="test:")
    if lately.filter(organization=channel.organization_id).count() >= MOST_TESTS:
        raise TooManyRequests(f"{MOST_TESTS} tests were sent within a minute: wait for what comes of them.")


@transaction.atomic
def ask_recipients(*, actor: Actor, channel_id: uuid.UUID) -> Channel:
    """Mail the link by which it is confirmed once more to each address that has not answered.

    Raises PermissionDenied, NotFound, Conflict (nobody is to be asked now), Invalid (one was asked too often).
    """
    channel = _locked(actor, channel_id)
    recipients.ask_again(channel, actor=actor)
    return channel


def snapshot(channel: Channel) -> dict[str, Any]:
    """For the record: no secret."""
    return {
        "name": channel.name,
        "channel_type": str(channel.channel_type),
        "is_last_resort": channel.is_last_resort,
        "config": KINDS[channel.channel_type].masked(channel.config),
    }


def _refuse_on_call(channel: Channel) -> None:
    stands_in = Q(overrides__channel=channel, overrides__until__gt=timezone.now())
    rotations = Rotation.objects.filter(Q(channels=channel) | stands_in).distinct().order_by("name")
    names = ", ".join(rotations.values_list("name", flat=True))
    if names:
        raise Conflict(
            f"It is on call by {names}, or is to be: take it out of the turns and the overrides there first."
        )


def _locked(actor: Actor, channel_id: uuid.UUID) -> Channel:
    channel = selectors.get_channel(actor, channel_id, Permission.NOTIFICATIONS_WRITE)
    return Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Invalid.field("name", f"write 1 to {LONGEST_NAME} characters")
    return name


def _refuse_name(others: Any, channel: Channel) -> None:
    if others.filter(name=channel.name).exists():
        raise Invalid.field("name", f"is taken: there is a channel {channel.name} already")


def _record(action: Action, channel: Channel, *, actor: Actor, **told: Any) -> None:
    record(
        action,
        actor=actor,
        resource_type="channel",
        resource_id=str(channel.pk),
        resource_name=channel.name,
        org_id=channel.org_id,
        **told,
    )
