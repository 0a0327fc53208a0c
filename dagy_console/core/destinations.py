"""Circuit breakers of receivers outside: what waits for one that fails waits with it, and holds up no other.

They are rows, so that all workers know. After FAILURES sends in a row that were not answered, nothing is sent there for
a while; then one message at a time, until one is taken.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.core.models import Destination

FAILURES = 3
# Seconds of rest after the third failure in a row, the fourth, and so on; the last for all others.
RESTS = (10, 30, 60, 120, 300)
LONGEST_REST = 3_600.0
# The server of DAGY_EMAIL_URL.
SMTP = "smtp"
# Messages under way to one destination at once.
MOST_AT_ONCE = 2


def resting() -> set[str]:
    """Keys of the destinations that nothing may be sent to now."""
    return set(Destination.objects.filter(rests_until__gt=Now()).values_list("key", flat=True))


def full(under_way: Counter[str], *, most: Mapping[str, int] | None = None) -> set[str]:
    """Keys of the destinations that have enough messages under way. `most`: for which that is another number."""
    in_doubt = set(Destination.objects.filter(failures__gte=FAILURES).values_list("key", flat=True))
    limits = {**(most or {}), **dict.fromkeys(in_doubt, 1)}
    return {key for key, count in under_way.items() if count >= limits.get(key, MOST_AT_ONCE)}


def rests_until(key: str) -> datetime | None:
    """When something is sent to the destination again; None where it does not rest."""
    return Destination.objects.filter(key=key, rests_until__gt=Now()).values_list("rests_until", flat=True).first()


def wake(key: str) -> None:
    """Somebody asks for a try now: what comes next is sent, alone."""
    Destination.objects.filter(key=key).update(rests_until=None)


def forget(key: str) -> None:
    """The destination is another now, or gone."""
    Destination.objects.filter(key=key).delete()


@transaction.atomic
def note(key: str, *, answered: bool, retry_after: float | None = None) -> None:
    """Close the destination's breaker where it answered, else count the failure. `retry_after`: seconds that it asks
    for."""
    if answered:
        forget(key)
        return
    found, _ = Destination.objects.update_or_create(
        key=key, defaults={"failures": F("failures") + 1}, create_defaults={"failures": 1}
    )
    found.refresh_from_db()
    if found.failures < FAILURES:
        return
    rest = max(RESTS[min(found.failures - FAILURES, len(RESTS) - 1)], min(retry_after or 0.0, LONGEST_REST))
    Destination.objects.filter(key=key).update(rests_until=timezone.now() + timedelta(seconds=rest))


def claims_in_turn(queue: int) -> None:
    """Wait until no other transaction claims messages of this queue; ends with the transaction that is open."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCKS, queue])


# The first half of the keys of these locks; the second is the queue's.
_LOCKS = 0x6461_6779
