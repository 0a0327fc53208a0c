"""Sending the messages of the outbox, at least once.

Whoever gets a message twice can tell by its key. Messages about one subject keep their order in each channel, and one
that is stuck holds up no other subject. What a channel refuses for good is dead, is kept, and goes to the last resort.

A message is claimed by a lease and sent outside of any transaction. One channel, one organization and the mail server
each have a few under way at most, and a channel that fails rests (`core.destinations`): however slow a receiver is, it
holds up no other.
"""

import random
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.alerts import recipients
from dagy_console.alerts.kinds import KINDS
from dagy_console.alerts.kinds.sending import Sending
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Attempt, Channel, ChannelType, Delivery, DeliveryStatus
from dagy_console.alerts.outbox import last_resort, post
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import destinations, leases
from dagy_console.core.actors import SYSTEM
from dagy_console.core.encryption import NotDecryptable
from dagy_console.core.forms import storable

_GONE = 410
_OFF = "Not sent: the channel is off, for its receiver said that it is gone (410). A test that is taken turns it on."
_QUEUE = 2
log = structlog.get_logger(__name__)
# A day, in all; what pages somebody is worth nothing later.
PAUSES = (5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 28_800)
MOST_AFTER = timedelta(hours=6)
ROUND_SECONDS = 5
# Messages under way at once, of the eight that a worker sends.
MOST_OF_ORGANIZATION, MOST_MAILS = 4, 3
LONGEST_ANSWER = 2_000


def deliver_due(*, only: str | None = None) -> int:
    """Try what is due, for ROUND_SECONDS; how many were taken. Many at once share them: none is sent by two."""
    rows = due().filter(id=only) if only else due()
    taken, ends_at = 0, time.monotonic() + ROUND_SECONDS
    while time.monotonic() < ends_at and (claimed := _claim(rows)):
        taken += _deliver(*claimed)
    return taken


def due() -> QuerySet[Delivery]:
    """Deliveries that are to be tried now: earlier messages of the same subject have all been sent or given up."""
    before = Delivery.objects.filter(
        channel=OuterRef("channel"),
        recipient=OuterRef("recipient"),
        subject=OuterRef("subject"),
        number__lt=OuterRef("number"),
        status=DeliveryStatus.WAITING,
    )
    return Delivery.objects.filter(~Exists(before), next_at__lte=Now(), status=DeliveryStatus.WAITING)


@transaction.atomic
def _claim(rows: QuerySet[Delivery]) -> tuple[Delivery, UUID] | None:
    """The next delivery, with the token of its lease; None where none is due that may be sent now."""
    destinations.claims_in_turn(_QUEUE)
    free = _with_room(rows.filter(leases.free())).select_related("channel")
    delivery = free.order_by("next_at", "number").first()
    token = leases.take(Delivery.objects.filter(pk=delivery.pk), seconds=leases.SECONDS) if delivery else None
    return (delivery, token) if delivery and token else None


def _with_room(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Deliveries whose destination does not rest, and has little under way, as has their organization."""
    under_way = Delivery.objects.filter(lease_until__gte=Now()).select_related("channel").defer("message")
    sent_to = Counter(delivery.channel.destination for delivery in under_way)
    closed = destinations.resting() | destinations.full(sent_to, most={destinations.SMTP: MOST_MAILS})
    organizations = Counter(delivery.organization_id for delivery in under_way if delivery.organization_id)
    busy = [org_id for org_id, count in organizations.items() if count >= MOST_OF_ORGANIZATION]
    if destinations.SMTP in closed:
        rows = rows.exclude(channel__channel_type=ChannelType.EMAIL)
    return rows.exclude(channel_id__in=closed - {destinations.SMTP}).exclude(organization_id__in=busy)


def _deliver(delivery: Delivery, token: UUID) -> bool:
    """Whether it was taken."""
    rows = Delivery.objects.filter(pk=delivery.pk)
    with leases.hold(rows, taken=token):
        began = time.monotonic()
        sending = _try(delivery.channel, delivery)
        seconds = time.monotonic() - began
        # Before anybody may take up the next one of the channel.
        leases.written(lambda: _note(delivery.channel, delivery.recipient, sending))
        # Lost where it was deleted with its channel meanwhile, or is another worker's by now.
        with suppress(leases.Lost):
            leases.written(lambda: _settle(rows.filter(lease_owner=token), sending, seconds))
    return sending.taken


@transaction.atomic
def _settle(mine: QuerySet[Delivery], sending: Sending, seconds: float) -> None:
    """Write what came of trying. Raises leases.Lost."""
    delivery = leases.locked(mine.select_related("channel"))
    channel, now = delivery.channel, timezone.now()
    delivery.attempts += 1
    answer = storable(sending.answer, LONGEST_ANSWER)
    Attempt.objects.create(delivery=delivery, status=sending.status, answer=answer, seconds=seconds)
    if sending.taken:
        delivery.status, delivery.next_at, delivery.sent_at = DeliveryStatus.SENT, None, now
        delivery.sent_with = channel.encrypted if channel.opens else ""
    elif sending.again and delivery.attempts <= len(PAUSES):
        delivery.next_at = now + _pause(delivery.attempts, sending.retry_after)
    else:
        delivery.status, delivery.next_at = DeliveryStatus.DEAD, None
        log.warning("alerts.delivery_dead", delivery=str(delivery.id), channel=str(channel.pk), status=sending.status)
        _to_last_resort(delivery, sending)
    delivery.save(update_fields=["attempts", "status", "next_at", "sent_at", "sent_with"])


def _try(channel: Channel, delivery: Delivery) -> Sending:
    if channel.off_since and delivery.message["event"] != Event.TEST:
        return Sending(False, None, _OFF)
    try:
        config = _config(channel, delivery)
    except NotDecryptable as error:
        return Sending(False, None, error.detail, again=True)
    try:
        return KINDS[channel.channel_type].send(config, Message.from_description(delivery.message), key=delivery.key)
    except Exception as error:
        log.exception("alerts.sending_broke", delivery=str(delivery.id), channel=str(channel.pk))
        return Sending(False, None, f"The console failed at it: {type(error).__name__}.", again=True)


def _config(channel: Channel, delivery: Delivery) -> dict[str, Any]:
    """What was opened with an older key of the channel is closed with that one. Raises NotDecryptable."""
    if channel.channel_type == ChannelType.EMAIL:
        return recipients.config_for(channel, delivery.recipient)
    if not channel.opens:
        return channel.config
    same = Delivery.objects.filter(channel=channel, subject=delivery.subject).exclude(sent_with="")
    opened = same.order_by("number").first()
    return Channel(encrypted=opened.sent_with).config if opened else channel.config


@transaction.atomic
def _note(channel: Channel, recipient: str, sending: Sending) -> None:
    """How the channel does, for its page, for /health and for its breaker. That one recipient's mails arrive does not
    mend another's."""
    rows = Channel.objects.filter(pk=channel.pk)
    if not rows.exists():
        return
    # What the mail server refuses is about a mail; of others a refusal that may pass is about all that is sent there.
    is_mail = channel.channel_type == ChannelType.EMAIL
    answered = sending.taken or (sending.status is not None if is_mail else not sending.again)
    destinations.note(channel.destination, answered=answered, retry_after=sending.retry_after)
    if sending.taken:
        if rows.filter(off_since__isnull=False).update(off_since=None):
            _record(Action.CHANNEL_SWITCHED_ON, channel)
        rows.update(proven_at=Now())
        rows.filter(problem_of__in=["", recipient]).update(problem="", problem_of="", failing_since=None)
        return
    if channel.off_since:
        # What turned it off stays to be read.
        return
    if sending.status == _GONE and rows.filter(off_since=None).update(off_since=Now()):
        _record(Action.CHANNEL_SWITCHED_OFF, channel)
    problem = storable(f"{sending.status or 'No answer'}: {sending.answer}", 500)
    rows.update(problem=problem, problem_of=recipient)
    rows.filter(failing_since=None).update(failing_since=Now())


def _record(action: Action, channel: Channel) -> None:
    record(
        action,
        actor=SYSTEM,
        resource_type="channel",
        resource_id=str(channel.pk),
        resource_name=channel.name,
        org_id=channel.org_id,
    )


def _pause(attempts: int, retry_after: float | None) -> timedelta:
    """Longer each time, spread, and never shorter than the other side asks for (as far as that is sane)."""
    spread = PAUSES[attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - spreads, hides nothing
    return min(MOST_AFTER, timedelta(seconds=max(spread, retry_after or 0.0)))


def _to_last_resort(delivery: Delivery, sending: Sending) -> None:
    """What the last resort itself can't tell goes no further."""
    channel = delivery.channel
    resort = last_resort(channel.organization_id, besides=channel)
    if resort is None or channel.is_last_resort:
        return
    message = Message.from_description(delivery.message)
    told = Message.from_description(
        message.described()
        | {
            "subject": f"{message.subject}:undelivered",
            "text": f"{channel.name} did not take this ({sending.status or 'no answer'}).\n\n{message.text}",
        }
    )
    post(resort, told, key=f"{delivery.key}:undelivered")
