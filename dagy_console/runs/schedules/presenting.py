"""Schedules as JSON, and as the pages show them."""

import json
from typing import Any

from django.urls import reverse
from django.utils import timezone

from dagy_console.audit.masking import masked
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query
from dagy_console.runs.models import Schedule
from dagy_console.runs.schedules import cron


def schedule_out(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": str(schedule.pk),
        "org_id": schedule.organization_id,
        "flow": schedule.flow.name,
        "flow_id": str(schedule.flow_id),
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "parameters": masked(schedule.parameters) or {},
        "paused": schedule.paused,
        "catch_up": schedule.catch_up,
        "next_times": [] if schedule.paused else [to_rfc3339(moment) for moment in next_times(schedule)],
        "problem": schedule.problem or None,
        "created_by": schedule.created_by,
        "created_at": to_rfc3339(schedule.created_at),
    }


def schedule_row(schedule: Schedule, query: Query | None = None) -> dict[str, Any]:
    return {
        "url": reverse("schedules:schedule", args=[schedule.pk]),
        "pk": schedule.pk,
        "flow": visible(schedule.flow.name),
        "org_id": schedule.organization_id,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "paused": schedule.paused,
        "catch_up": schedule.catch_up,
        "next_at": None if schedule.paused else schedule.next_at,
        "problem": visible(schedule.problem),
        "created_at": schedule.created_at,
        "created_by": visible(schedule.created_by),
        "parameters": json.dumps(masked(schedule.parameters) or {}, ensure_ascii=False),
    }


def next_times(schedule: Schedule) -> list[Any]:
    return cron.times_after(schedule.cron, schedule.time_zone, timezone.now(), count=cron.SHOWN_TIMES)
