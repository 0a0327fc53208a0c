"""Reading groups: what there is of each, when it began, whether it goes on, and what was changed before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from dagy_console.audit import selectors as audit
from dagy_console.audit.actions import Action, Nature
from dagy_console.audit.search import ENTRIES
from dagy_console.core.actors import Actor
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.core.words import duration
from dagy_console.exceptions.models import GroupOrganization, GroupStatus, Trace, TraceGroup
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.finding import ASIDE_SECONDS
from dagy_console.listing.rollups import hourly

HOUR = timedelta(hours=1)
# An organization that is hit for the first time counts as spreading for so long.
SPREADING = HOUR
SPARK_HOURS = 24
FRESH = timedelta(days=1)
# How far back, and how many changes: what is further away is seldom the cause.
BEFORE, MOST_CHANGES = timedelta(days=1), 8
LATELY = 50


def visible_to(actor: Actor) -> QuerySet[TraceGroup]:
    """Every group that has traces: only the platform's staff may read them. Raises PermissionDenied.

    `spreading` is how many organizations were hit for the first time within the hour.
    """
    return _all(actor).filter(count__gt=0)


def _all(actor: Actor) -> QuerySet[TraceGroup]:
    actor.require(Permission.EXCEPTIONS_READ)
    hit = GroupOrganization.objects.filter(fingerprint=OuterRef("pk"), first_seen__gte=timezone.now() - SPREADING)
    counted = hit.order_by().values("fingerprint").annotate(n=Count("*")).values("n")
    return TraceGroup.objects.annotate(spreading=Coalesce(Subquery(counted, output_field=IntegerField()), 0))


def get_group(actor: Actor, fingerprint: str) -> TraceGroup:
    """As `visible_to` has it; also of one whose traces are all gone. Raises PermissionDenied, NotFound."""
    groups = _all(actor)
    group = groups.filter(pk=fingerprint).first() if is_storable(fingerprint) else None
    if group is None:
        raise NotFound("There is no such group: no trace of it was ever indexed, or the fingerprint is wrong.")
    return group


def traces_of(fingerprint: str) -> QuerySet[Trace]:
    return Trace.objects.filter(fingerprint=fingerprint).defer("search_text")


def ends(fingerprint: str) -> list[Trace]:
    """The first and the latest trace; none where there is none."""
    newest = TRACES.keyset.newest_first(traces_of(fingerprint))
    return [trace for trace in (newest.reverse().first(), newest.first()) if trace]


def sparklines(groups: Sequence[TraceGroup]) -> dict[str, list[int]]:
    """Fingerprint -> its traces in each of the last 24 hours, this one last."""
    this = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [this - number * HOUR for number in reversed(range(SPARK_HOURS))]
    names = [group.fingerprint for group in groups]
    counts = hourly(TRACES, Trace.objects.all(), "fingerprint", names, hours)
    return {name: [counts.get((name, hour), 0) for hour in hours] for name in names}


def worst(actor: Actor, *, limit: int) -> list[tuple[TraceGroup, int]]:
    """Those with the most traces in the last hour, each with how many, but for what is ignored; none where counting
    takes too long."""
    since = timezone.now() - HOUR
    counted = Trace.objects.filter(fingerprint=OuterRef("pk"), timestamp__gte=since).order_by().values("fingerprint")
    lately = Subquery(counted.annotate(n=Count("*")).values("n"), output_field=IntegerField())
    going_on = visible_to(actor).exclude(status=GroupStatus.IGNORED).filter(last_seen__gte=since)
    try:
        with time_limit(ASIDE_SECONDS):
            found = going_on.annotate(lately=Coalesce(lately, 0)).order_by("-lately", "pk")[:limit]
            return [(group, group.lately) for group in found]
    except TookTooLong:
        return []


def newest(actor: Actor, *, limit: int) -> list[TraceGroup]:
    """Open ones whose first trace is of the last day, the newest first."""
    fresh = visible_to(actor).filter(status=GroupStatus.OPEN, first_seen__gte=timezone.now() - FRESH)
    return list(GROUPS.parse("sort:new").keyset.newest_first(fresh)[:limit])


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether it goes on: `state` for a title, `words` for a sentence."""

    state: str
    words: str


def pulse(group: TraceGroup) -> Pulse:
    """Of a group by its latest traces. It has stopped where it is silent for ten times its usual gap, and a minute."""
    newest = TRACES.keyset.newest_first(traces_of(group.fingerprint)).values_list("timestamp", flat=True)[:LATELY]
    return pulse_of(list(newest), now=timezone.now())


def pulse_of(moments: Sequence[datetime], *, now: datetime) -> Pulse:
    """`moments`, newest first."""
    if not moments:
        return Pulse("No trace kept", "No trace of it is kept any more.")
    silence = max(now - moments[0], timedelta())
    last = "just now" if silence < timedelta(seconds=5) else f"{duration(silence)} ago"
    if len(moments) == 1:
        return Pulse("Once", f"It happened once, {last}.")
    usual = timedelta(seconds=median((a - b).total_seconds() for a, b in pairwise(moments)))
    state = _state(silence, usual)
    sentence = {
        "Goes on": "It goes on",
        "May have stopped": "It may have stopped",
        "Stopped": "It seems to have stopped",
    }[state]
    return Pulse(state, f"{sentence}: last one {last}, usual gap {_gap(usual)}.")


def _state(silence: timedelta, usual: timedelta) -> str:
    patience = max(usual, timedelta(seconds=6))
    if silence <= 3 * patience:
        return "Goes on"
    return "Stopped" if silence > 10 * patience else "May have stopped"


def _gap(usual: timedelta) -> str:
    return "under 1 s" if usual < timedelta(seconds=1) else duration(usual)


def changes_before(actor: Actor, first: Trace) -> list[Any]:
    """Audit entries of the trace's organization and of the platform from the day before it, the nearest first: what
    somebody changed, and not what was only looked at."""
    changing = [action.value for action in Action if action.nature is not Nature.READS and action not in _NO_CAUSE]
    rows = audit.visible_to(actor).filter(
        at__gte=first.timestamp - BEFORE,
        at__lte=first.timestamp,
        org_id__in={first.org_id, ""},
        action__in=changing,
    )
    return list(ENTRIES.keyset.newest_first(rows)[:MOST_CHANGES])


# What the console did about traces, and what happens all the time.
_NO_CAUSE = frozenset(
    {
        Action.DELETION_STARTED,
        Action.DELETION_CANCELLED,
        Action.DELETION_FINISHED,
        Action.GROUP_CHANGED,
        Action.GROUP_REOPENED,
        Action.REINDEX_STARTED,
        Action.REINDEX_FINISHED,
        Action.TOKEN_CREATED,
        Action.SUDO_GRANTED,
        Action.SUDO_DENIED,
    }
)
