"""Making, changing and ending schedules, and starting what is due."""

import uuid
from collections import deque
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import Suspension
from dagy_console.accounts.selectors import suspensions_in_force
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Schedule
from dagy_console.runs.schedules import cron, selectors
from dagy_console.runs.services import triggering

# What was missed longer ago than this was missed; with catch-up so many missed times are made up for.
LATE = timedelta(seconds=60)
MOST_MISSED = 100


@transaction.atomic
def create_schedule(
    *,
    actor: Actor,
    org_id: str,
    flow: str,
    expression: str,
    time_zone: str = "UTC",
    parameters: dict[str, Any] | None = None,
    paused: bool = False,
    catch_up: bool = False,
) -> Schedule:
    """Raises PermissionDenied; Invalid (no such flow, no cron expression, no time zone, wrong parameters); Conflict
    (nothing is deployed)."""
    actor.require(Permission.SCHEDULES_WRITE, org_id=org_id)
    cron.check(expression, time_zone)
    found = triggering.deployed_flow(org_id, flow)
    triggering.check_parameters(found, parameters or {})
    schedule = Schedule.objects.create(
        organization_id=org_id,
        flow=found,
        cron=" ".join(expression.split()),
        time_zone=time_zone,
        parameters=parameters or {},
        paused=paused,
        catch_up=catch_up,
        next_at=cron.next_time(expression, time_zone, timezone.now()),
        created_by=actor.email,
    )
    _record(Action.SCHEDULE_CREATED, schedule, actor=actor, after=schedule.snapshot())
    return schedule


@transaction.atomic
def change_schedule(*, actor: Actor, schedule_id: uuid.UUID, **changes: Any) -> Schedule:
    """`changes` are any of `cron`, `time_zone`, `parameters`, `paused`, `catch_up`. One that is resumed, or has
    another time, goes on from now.

    Raises PermissionDenied, NotFound, Invalid.
    """
    known = selectors.get_schedule(actor, schedule_id, Permission.SCHEDULES_WRITE)
    schedule = Schedule.objects.select_for_update(of=("self",)).select_related("flow").get(pk=known.pk)
    before = schedule.snapshot()
    for name, value in changes.items():
        setattr(schedule, name, value)
    cron.check(schedule.cron, schedule.time_zone)
    schedule.cron = " ".join(schedule.cron.split())
    triggering.check_parameters(schedule.flow, schedule.parameters)
    after = schedule.snapshot()
    if after == before:
        return schedule
    if any(before[name] != after[name] for name in ("cron", "time_zone", "paused")):
        schedule.next_at = cron.next_time(schedule.cron, schedule.time_zone, timezone.now())
    schedule.problem = ""
    schedule.save()
    _record(Action.SCHEDULE_CHANGED, schedule, actor=actor, before=before, after=after)
    return schedule


@transaction.atomic
def delete_schedule(*, actor: Actor, schedule_id: uuid.UUID) -> None:
    """The runs that it has started stay. Raises PermissionDenied, NotFound."""
    schedule = selectors.get_schedule(actor, schedule_id, Permission.SCHEDULES_WRITE)
    _record(Action.SCHEDULE_DELETED, schedule, actor=actor, before=schedule.snapshot())
    schedule.delete()


def start_due() -> int:
    """Start a run of each schedule whose time has come; how many. Any number of these may go on at once: each takes
    rows that no other has, and a time is started once."""
    started = 0
    while (count := _start_next()) is not None:
        started += count
    return started


@transaction.atomic
def _start_next() -> int | None:
    """How many runs the next due schedule has started; None where none is due."""
    now = timezone.now()
    due = Schedule.objects.filter(paused=False, next_at__lte=now).exclude(
        organization__in=suspensions_in_force().values("organization")
    )
    locked = due.select_related("flow", "flow__latest").order_by("next_at")
    schedule = locked.select_for_update(of=("self",), skip_locked=True).first()
    if schedule is None:
        return None
    times = _times_due(schedule, now)
    try:
        with transaction.atomic():
            for moment in times:
                triggering.start_scheduled(schedule, moment)
        schedule.problem = ""
    except ConsoleError as error:
        schedule.problem = " ".join([error.detail, *(f"{item.field} {item.message}." for item in error.errors)])[:2000]
        times = []
    schedule.next_at = cron.next_time(schedule.cron, schedule.time_zone, now)
    schedule.save(update_fields=["next_at", "problem"])
    return len(times)


def _times_due(schedule: Schedule, now: datetime) -> list[datetime]:
    """The times that came since it was last looked at: all of them with catch-up, else the last one alone, where it
    was not missed."""
    following = cron.times(schedule.cron, schedule.time_zone, schedule.next_at)
    times = deque([schedule.next_at], maxlen=MOST_MISSED)
    times.extend(takewhile(lambda moment: moment <= now, following))
    if schedule.catch_up:
        return list(times)
    return [times[-1]] if now - times[-1] <= LATE else []


def on_lifted(suspension: Suspension) -> None:
    """What fell into a suspension is not made up for, but where the schedule asks for it."""
    now = timezone.now()
    missed = Schedule.objects.filter(organization=suspension.organization_id, catch_up=False, next_at__lte=now)
    for schedule in missed:
        schedule.next_at = cron.next_time(schedule.cron, schedule.time_zone, now)
        schedule.save(update_fields=["next_at"])


def _record(action: Action, schedule: Schedule, *, actor: Actor, **snapshots: Any) -> None:
    record(
        action,
        actor=actor,
        resource_type="schedule",
        resource_id=str(schedule.pk),
        resource_name=schedule.flow.name,
        org_id=schedule.organization_id,
        **snapshots,
    )
