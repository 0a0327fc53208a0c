"""The outbox of channels: messages are written in the transaction of what they tell of, and sent by a worker
(`alerts.dispatch`)."""

from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from dagy_console.alerts import recipients
from dagy_console.alerts.messages import Message
from dagy_console.alerts.models import Channel, Delivery, DeliveryStatus
from dagy_console.core.health import Status
from dagy_console.core.times import seconds_since
from dagy_console.core.words import counted, duration

LATE, KEPT = timedelta(minutes=5), timedelta(days=90)


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


def last_resort(org_id: str | None, *, besides: Channel | None = None) -> Channel | None:
    """Of the organization, else of the platform."""
    resorts = Channel.objects.filter(is_last_resort=True).order_by("created_at")
    resorts = resorts.exclude(pk=besides.pk) if besides else resorts
    own = resorts.filter(organization=org_id).first() if org_id else None
    return own or resorts.filter(organization=None).first()


def check() -> tuple[Status, str]:
    """For /health, at the time of asking: whoever stops sending stops what would be noted of it, too."""
    age = timedelta(seconds=lag())
    dead, failing = given_up(), failing_channels()
    if age < LATE and not dead and not failing:
        return Status.HEALTHY, "no message is late"
    late = f"the oldest message waits for {duration(age)}, " if age >= LATE else ""
    return Status.DEGRADED, f"{late}{dead} given up in the last day, {counted(failing, 'channel')} failing"


def lag() -> float:
    """Seconds that the oldest message has waited; 0 where none waits."""
    waiting = Delivery.objects.filter(status=DeliveryStatus.WAITING)
    return seconds_since(waiting.aggregate(Min("created_at"))["created_at__min"]) or 0


def given_up() -> int:
    """Messages that were, in the last day."""
    today = timezone.now() - timedelta(days=1)
    return Delivery.objects.filter(status=DeliveryStatus.DEAD, created_at__gt=today).count()


def failing_channels() -> int:
    """Whose last message was not taken."""
    return Channel.objects.filter(failing_since__isnull=False).count()


def remove_old() -> None:
    Delivery.objects.filter(created_at__lt=timezone.now() - KEPT).exclude(status=DeliveryStatus.WAITING).delete()
