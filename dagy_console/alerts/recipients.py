"""Who gets the mails of a channel: each address by itself, once its owner has said yes, until they say stop.

People who sign in here are not asked: their address was proven by their invitation. All others are, or anybody could
have mails sent to anybody.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dagy_console.accounts.models import User
from dagy_console.alerts import links
from dagy_console.alerts.models import Channel, ChannelType, Recipient
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import mail
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.models import OutgoingMail
from dagy_console.core.words import duration

SUBJECT = "Do you want alerts of Dagy at this address?"
# However many channels name it, an address is asked so often within that time; one channel asks after a pause.
MOST_ASKED, WITHIN, PAUSE = 5, timedelta(hours=1), timedelta(minutes=10)


def follow(channel: Channel, *, by: str) -> None:
    """What its config names is listed now, and who is new there is asked, in the transaction that is open. `by`: who
    named them. Raises Invalid where an address was asked too often."""
    if channel.channel_type != ChannelType.EMAIL:
        return
    named = channel.config["to"]
    rows = channel.recipients.all()
    listed = set(rows.filter(is_listed=True).values_list("address", flat=True))
    rows.exclude(address__in=named).update(is_listed=False)
    for address in [address for address in named if address not in listed]:
        recipient, is_new = rows.get_or_create(address=address, defaults={"channel": channel})
        recipient.is_listed = True
        if is_new and _is_known(address, channel.organization_id):
            recipient.confirmed_at = timezone.now()
        recipient.save()
        if recipient.state != "confirmed":
            _ask(recipient, by)


def _is_known(address: str, org_id: str | None) -> bool:
    """Of the organization's members, or, for a channel of the platform, of its staff."""
    whose = Q(memberships__organization=org_id) if org_id else Q(super_admin=True)
    return User.objects.filter(whose, email=address, is_active=True).exists()


def active(channel: Channel) -> QuerySet[Recipient]:
    return channel.recipients.filter(is_listed=True, confirmed_at__isnull=False, stopped_at=None).order_by("address")


def of(channel: Channel) -> list[str]:
    """To whom a message goes, each by itself; [""] where nobody is told apart, or nobody takes it."""
    if channel.channel_type != ChannelType.EMAIL:
        return [""]
    return list(active(channel).values_list("address", flat=True)) or [""]


def config_for(channel: Channel, recipient: str) -> dict[str, Any]:
    """Of an email channel, for those of it who take mails: `recipient`, or with "" all."""
    told = active(channel).filter(address=recipient) if recipient else active(channel)
    return {"to": [one.address for one in told], "stop_links": {one.address: links.stop_link(one) for one in told}}


@transaction.atomic
def ask_again(channel: Channel, *, actor: Actor) -> None:
    """Mail the link once more to who has not answered. `channel` is locked. Raises Conflict where nobody is to be
    asked now; Invalid as `follow` does."""
    if settings.MAIL is None:
        raise Conflict("Mail is not set up here (DAGY_EMAIL_URL): nobody can be asked.")
    unanswered = list(channel.recipients.filter(is_listed=True, confirmed_at=None, stopped_at=None).order_by("address"))
    if not unanswered:
        raise Conflict("Nobody has to be asked: each address of it has answered.")
    late = [one for one in unanswered if one.asked_at is None or one.asked_at < timezone.now() - PAUSE]
    if not late:
        raise Conflict(f"Each was asked within the last {duration(PAUSE)}. Look into the folder of unwanted mails.")
    for recipient in late:
        _ask(recipient, actor.email)
    _record(Action.CHANNEL_RECIPIENT_ASKED, channel, actor, [one.address for one in late])


def _ask(recipient: Recipient, by: str) -> None:
    asked = OutgoingMail.objects.filter(to=[recipient.address], created_at__gt=timezone.now() - WITHIN)
    if asked.filter(subject=SUBJECT).count() >= MOST_ASKED:
        why = f"{recipient.address} was asked {MOST_ASKED} times within {duration(WITHIN)}: try again later"
        raise Invalid.field("config.to", why)
    channel = recipient.channel
    context = {
        "by": by or "Dagy Console",
        "channel": channel.name,
        "whose": channel.org_id or "the platform",
        "link": links.confirm_link(recipient),
        "good_for": duration(links.GOOD_FOR),
    }
    if settings.MAIL is None:
        return
    mail.send(to=[recipient.address], subject=SUBJECT, template="recipient", context=context)
    recipient.asked_at = timezone.now()
    recipient.save(update_fields=["asked_at"])


@transaction.atomic
def confirm(recipient: Recipient, *, actor: Actor) -> None:
    """Its owner takes the channel's mails from now on."""
    mine = Recipient.objects.select_for_update().get(pk=recipient.pk)
    if mine.state == "confirmed":
        return
    mine.confirmed_at, mine.stopped_at = timezone.now(), None
    mine.save()
    _record(Action.CHANNEL_RECIPIENT_CONFIRMED, recipient.channel, actor, [mine.address])


@transaction.atomic
def stop(recipient: Recipient, *, actor: Actor) -> None:
    """Its owner takes none any more, before whoever names them anew has asked them, too."""
    mine = Recipient.objects.select_for_update().get(pk=recipient.pk)
    if mine.stopped_at:
        return
    mine.stopped_at = timezone.now()
    mine.save()
    Channel.objects.filter(pk=mine.channel_id, problem_of=mine.address).update(
        problem="", problem_of="", failing_since=None
    )
    _record(Action.CHANNEL_RECIPIENT_STOPPED, recipient.channel, actor, [mine.address])


def _record(action: Action, channel: Channel, actor: Actor, addresses: list[str]) -> None:
    record(
        action,
        actor=actor,
        resource_type="channel",
        resource_id=str(channel.pk),
        resource_name=channel.name,
        org_id=channel.org_id,
        after={"addresses": addresses},
    )
