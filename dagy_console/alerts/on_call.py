"""Who is on call: the turns of a rotation, a week each, and the overrides that stand in for them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Prefetch, Q, QuerySet

from dagy_console.alerts.models import Override, Rotation, Rule

WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """The channel that is on call, until when, and the override by which it is; None where it is its turn."""

    channel_id: str
    until: datetime
    override: Override | None = None


def on_call(rotation: Rotation, overrides: Sequence[Override], at: datetime) -> Shift:
    """At that moment; before the first turn begins the first is on call, for nobody is no answer. `overrides` are those
    of the rotation, in any order; it ends where the next of them begins."""
    for override in overrides:
        if override.starts_at <= at < override.until:
            return Shift(str(override.channel_id), override.until, override)
    turn = turn_at(rotation, at)
    ends = [handover(rotation, turn + 1), *(one.starts_at for one in overrides if one.starts_at > at)]
    return Shift(rotation.channel_ids[turn % len(rotation.channel_ids)], min(ends))


def roster(
    rotation: Rotation, overrides: Sequence[Override], since: datetime, until: datetime
) -> list[tuple[datetime, Shift]]:
    """All shifts between, each with its beginning; the first begins at `since`."""
    shifts = []
    while since < until:
        shift = on_call(rotation, overrides, since)
        shifts.append((since, shift))
        since = shift.until
    return shifts


def turn_at(rotation: Rotation, at: datetime) -> int:
    """How many handovers there were since the first turn began; 0 before that."""
    turn = (at - rotation.starts_at) // WEEK
    # Where clocks were set meanwhile, a handover comes earlier or later than so many times 168 hours.
    if handover(rotation, turn + 1) <= at:
        turn += 1
    elif handover(rotation, turn) > at:
        turn -= 1
    return max(turn, 0)


def handover(rotation: Rotation, turn: int) -> datetime:
    """When that turn begins: at the same time of day as the first, there. Of a time that comes twice it is the first;
    one that clocks skip is as much later as they skip."""
    if not turn:
        return rotation.starts_at
    # What is added to a time with a zone moves the hands of its clock.
    there = rotation.starts_at.astimezone(ZoneInfo(rotation.time_zone)) + turn * WEEK
    return there.astimezone(UTC)


def going_on(rotation: Rotation, turns: Sequence[str], at: datetime) -> datetime:
    """When the first of other turns must have begun, so that whoever has the turn at that moment keeps it until the
    next handover, where it is among them; else the first has it from then on. Before the first turn it is as it was."""
    if at < rotation.starts_at or not turns:
        return rotation.starts_at
    turn = turn_at(rotation, at)
    place = turn % len(rotation.channel_ids)
    has_it = rotation.channel_ids[place]
    if list(turns[place : place + 1]) != [has_it]:
        place = list(turns).index(has_it) if has_it in turns else 0
    begins = [handover(rotation, turn - place - lap * len(turns)) for lap in range(2)]
    # In an hour that clocks skip no turn can begin without moving all handovers: a round earlier it can.
    same = (one for one in begins if _clock(rotation, one) == _clock(rotation, rotation.starts_at))
    return next(same, begins[0])


def _clock(rotation: Rotation, at: datetime) -> time:
    return at.astimezone(ZoneInfo(rotation.time_zone)).time()


def with_overrides(rows: QuerySet[Rotation], at: datetime) -> QuerySet[Rotation]:
    """`overrides.all()` are those that are not over then, the next first."""
    ahead = Override.objects.filter(until__gt=at).select_related("channel").order_by("starts_at")
    return rows.prefetch_related(Prefetch("overrides", ahead))


def on_duty(rule: Rule, more: Iterable[str], at: datetime) -> dict[str, str]:
    """Who is on call of the rule's rotations, and of `more` (ids): channel's id -> names of the rotations."""
    rows = Rotation.objects.filter(Q(rules=rule) | Q(pk__in=list(more))).distinct().order_by("name")
    names: dict[str, list[str]] = defaultdict(list)
    for rotation in with_overrides(rows, at):
        names[on_call(rotation, list(rotation.overrides.all()), at).channel_id].append(rotation.name)
    return {channel: ", ".join(of) for channel, of in names.items()}
