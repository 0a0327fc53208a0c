"""Whoever made a silence is told that it is over: what it hid is told again from then on, or there is nothing more."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import User
from dagy_console.alerts.models import AlertStatus, Silence
from dagy_console.core import mail

# What was over for longer, say because no worker was there, is no news.
NEWS = timedelta(hours=1)


def tell_ended() -> int:
    """Mail who made those that have come to their end since; how many. Whoever ended one by hand knows."""
    now = timezone.now()
    rows = Silence.objects.filter(end_told=False, until__lte=now, until__gt=now - NEWS)
    return sum(_tell(pk) for pk in list(rows.values_list("pk", flat=True)[:200]))


@transaction.atomic
def _tell(silence_pk: UUID) -> bool:
    silence = Silence.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=silence_pk).first()
    if silence is None or silence.end_told:
        return False
    silence.end_told = True
    silence.save(update_fields=["end_told"])
    maker = User.objects.filter(email=silence.created_by, is_active=True).first()
    if silence.ended_by or maker is None:
        return False
    hidden = silence.alerts.count()
    context = {
        "silence": silence,
        "hidden": hidden,
        "firing": silence.alerts.filter(status=AlertStatus.FIRING).count(),
        "link": f"{settings.BASE_URL}/console/alerts/silences/{silence.pk}/",
    }
    mail.send(
        to=[maker.email], subject=f"Your silence is over: {silence.text}", template="silence_over", context=context
    )
    return True
