"""What goes out by channels: written in the transaction of what it tells of, sent by a worker, at least once.

Whoever gets a message twice can tell by its key. Messages about one subject keep their order in each channel, and one
that is stuck holds up no other subject. What a channel refuses for good is dead, is kept, and goes to the last resort.
"""

import random
import time
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.alerts import recipients
from dagy_console.alerts.kinds import KINDS
from dagy_console.alerts.kinds.sending import Sending
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Attempt, Channel, ChannelType, Delivery, DeliveryStatus
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM
from dagy_console.core.encryption import NotDecryptable
from dagy_console.core.forms import storable
from dagy_console.core.health import Status
from dagy_console.core.words import counted

_GONE = 410
_OFF = "Not sent: the channel is off, for its receiver said that it is gone (410). A test that is taken turns it on."
log = structlog.get_logger(__name__)
# A day, in all; what pages somebody is worth nothing later.
PAUSES = (5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 28_800)
LATE = timedelta(minutes=5)
MOST_AFTER, KEPT = timedelta(hours=6), timedelta(days=90)
A_ROUND = 200
LONGEST_ANSWER = 2_000


def post(channel: Channel, message: Message, *, key: str) -> Delivery:
    """Write the message, in the transaction that is open; once for a key, however often it is asked for. A channel
    with several recipients has one for each; the first is given."""
    first, *_ = [_post(channel, recipient, message, key) for recipient in recipients.of(channel)]
    return first


def _post(channel: Channel, recipient: str, message: Message, key: str) -> Delivery:
    delivery, is_new = Delivery.objects.get_or_create(
        channel=channel,
        recipient=recipient,
        key=key,
        defaults={
            "organization_id": channel.organization_id,
            "subject": message.subject,
            "message": message.described(),
        },
    )
    if is_new:
        hand_over(delivery)
    return delivery


def hand_over(delivery: Delivery) -> None:
    """Where the broker is down, it waits for beat."""
    # No `partial`: Django asks what fails for its name.
    transaction.on_commit(lambda: _send_task(str(delivery.id)), robust=True)


def _send_task(delivery_id: str) -> None:
    current_app.send_task("alerts.deliver", [delivery_id], retry=False)


def deliver_due(*, only: str | None = None) -> int:
    """Try what is due; how many were taken. Many at once share them: none is sent by two."""
    rows = due().filter(id=only) if only else due()
    taken = 0
    for _ in range(A_ROUND):
        outcome = _deliver_next(rows)
        if outcome is None:
            break
        taken += outcome
    return taken


def due() -> QuerySet[Delivery]:
    """Those that no earlier message of their subject is still before."""
    before = Delivery.objects.filter(
        channel=OuterRef("channel"),
        recipient=OuterRef("recipient"),
        subject=OuterRef("subject"),
        number__lt=OuterRef("number"),
        status=DeliveryStatus.WAITING,
    )
    return Delivery.objects.filter(~Exists(before), next_at__lte=Now(), status=DeliveryStatus.WAITING)


def _deliver_next(rows: QuerySet[Delivery]) -> bool | None:
    """Whether it was taken; None where none is due that nobody else has in hand."""
    tried = _try_next(rows)
    if tried is None:
        return None
    # Behind it: who deletes a channel holds it, and waits for what is being sent by it.
    _note(*tried)
    return tried[2].taken


@transaction.atomic
def _try_next(rows: QuerySet[Delivery]) -> tuple[Channel, str, Sending] | None:
    in_turn = rows.select_for_update(skip_locked=True, of=("self",)).select_related("channel")
    delivery = in_turn.order_by("next_at", "number").first()
    if delivery is None:
        return None
    channel = delivery.channel
    began = time.monotonic()
    sending = _try(channel, delivery)
    now = timezone.now()
    delivery.attempts += 1
    Attempt.objects.create(
        delivery=delivery,
        status=sending.status,
        answer=storable(sending.answer, LONGEST_ANSWER),
        seconds=time.monotonic() - began,
    )
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
    return channel, delivery.recipient, sending


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
    """How the channel does, for its page and for /health. That one recipient's mails arrive does not mend another's."""
    rows = Channel.objects.filter(pk=channel.pk)
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


def last_resort(org_id: str | None, *, besides: Channel | None = None) -> Channel | None:
    """Of the organization, else of the platform."""
    resorts = Channel.objects.filter(is_last_resort=True).order_by("created_at")
    resorts = resorts.exclude(pk=besides.pk) if besides else resorts
    own = resorts.filter(organization=org_id).first() if org_id else None
    return own or resorts.filter(organization=None).first()


def check() -> tuple[Status, str]:
    """For /health."""
    late = Delivery.objects.filter(status=DeliveryStatus.WAITING, created_at__lt=timezone.now() - LATE).count()
    dead, failing = given_up(), failing_channels()
    if late or dead or failing:
        told = f"{counted(late, 'message')} late, {dead} given up in the last day"
        return Status.DEGRADED, f"{told}, {counted(failing, 'channel')} failing"
    return Status.HEALTHY, "no message is late"


def given_up() -> int:
    """Messages that were, in the last day."""
    today = timezone.now() - timedelta(days=1)
    return Delivery.objects.filter(status=DeliveryStatus.DEAD, created_at__gt=today).count()


def failing_channels() -> int:
    """Whose last message was not taken."""
    return Channel.objects.filter(failing_since__isnull=False).count()


def remove_old() -> None:
    Delivery.objects.filter(created_at__lt=timezone.now() - KEPT).exclude(status=DeliveryStatus.WAITING).delete()
