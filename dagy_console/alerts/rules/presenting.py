"""Rules as JSON and on pages."""

from typing import Any

from django.urls import reverse

from dagy_console.alerts import hours, measures
from dagy_console.alerts.history import Firing, History
from dagy_console.alerts.lifecycle import is_breach
from dagy_console.alerts.models import Rule
from dagy_console.alerts.rules.previewing import Preview
from dagy_console.alerts.rules.terms import steps_of
from dagy_console.alerts.rules.why import Reason
from dagy_console.alerts.telling import condition, figure
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.core.words import counted, duration
from dagy_console.listing.language import Query

# Firings that a preview names; the picture's own units.
SHOWN, WIDTH, HEIGHT = 8, 960, 120


def rule_out(rule: Rule) -> dict[str, Any]:
    return {
        "id": str(rule.pk),
        "org_id": rule.organization_id,
        "name": rule.name,
        "measure": rule.measure,
        "query": rule.query,
        "window_seconds": rule.window_seconds,
        "condition": {"op": rule.op, "value": rule.value},
        "group_by": rule.group_by,
        "for_seconds": rule.for_seconds,
        "severity": rule.severity,
        "channel_ids": [str(channel.pk) for channel in rule.channels.all()],
        "rotation_ids": [str(rotation.pk) for rotation in rule.rotations.all()],
        "repeat_seconds": rule.repeat_seconds,
        "escalation": steps_of(rule),
        "no_data": rule.no_data,
        "hours": rule.hours,
        "enabled": rule.enabled,
        "checked_at": to_rfc3339(rule.checked_at) if rule.checked_at else None,
        "problem": rule.problem or None,
        "created_by": rule.created_by,
        "created_at": to_rfc3339(rule.created_at),
    }


def rule_row(rule: Rule, query: Query | None = None) -> dict[str, Any]:
    return {
        "url": reverse("rules:rule", args=[rule.pk]),
        "pk": rule.pk,
        "name": visible(rule.name),
        "said": visible(sentence(rule)),
        "severity": rule.severity,
        "enabled": rule.enabled,
        "problem": visible(rule.problem),
        "steps": [f"{_whom(step)} after {duration(step['after_seconds'])}" for step in steps_of(rule)],
        "hours": str(hours.parse(rule.hours)) if rule.hours else "",
        "org_id": rule.organization_id,
        "channels": [
            {"name": visible(channel.name), "url": reverse("channels:channel", args=[channel.pk])}
            for channel in rule.channels.all()
        ],
        "rotations": [
            {"name": visible(rotation.name), "url": reverse("rotations:rotation", args=[rotation.pk])}
            for rotation in rule.rotations.all()
        ],
        "checked_at": rule.checked_at,
        "created_at": rule.created_at,
        "created_by": visible(rule.created_by),
    }


def _whom(step: dict[str, Any]) -> str:
    """ "2 more channels and who is on call of 1 rotation"."""
    channels, rotations = len(step["channel_ids"]), len(step["rotation_ids"])
    told = [counted(channels, "more channel")] if channels else []
    told += [f"who is on call of {counted(rotations, 'rotation')}"] if rotations else []
    return " and ".join(told)


def preview_out(found: Preview) -> dict[str, Any]:
    past = found.history
    return {
        "said": found.said,
        "warning": found.warning or None,
        "now": [{"dimensions": one.dimensions, "value": one.value, "fires": one.is_breached} for one in found.now],
        "start": to_rfc3339(past.start) if past else None,
        "end": to_rfc3339(past.end) if past else None,
        "step_seconds": past.step.total_seconds() if past else None,
        "fired": [_firing_out(one) for one in past.firings] if past else None,
        "series": [{"at": to_rfc3339(at), "value": value} for at, value in past.points] if past else None,
    }


def _firing_out(firing: Firing) -> dict[str, Any]:
    return {
        "label": firing.label,
        "since": to_rfc3339(firing.since),
        "until": to_rfc3339(firing.until) if firing.until else None,
        "peak": firing.peak,
    }


def preview_view(found: Preview) -> dict[str, Any]:
    """For the page."""
    past = found.history
    return {
        "said": visible(found.said),
        "warning": found.warning,
        "chart": chart(found.rule, past) if past else None,
        "fired": [_firing_row(found.rule, one) for one in past.firings[:SHOWN]] if past else [],
        "more": max(0, len(past.firings) - SHOWN) if past else 0,
    }


def _firing_row(rule: Rule, firing: Firing) -> dict[str, Any]:
    told = f"for {duration(firing.until - firing.since)}" if firing.until else "goes on"
    return {"label": visible(firing.label), "since": firing.since, "for": told, "peak": figure(rule, firing.peak)}


def reasons_rows(reasons: list[Reason]) -> list[dict[str, str]]:
    return [{"about": visible(one.about), "said": visible(one.said)} for one in reasons]


def chart(rule: Rule, past: History) -> dict[str, Any]:
    """The series as bars, and the limit as a line, in units of the picture."""
    known = [value for _, value in past.points if value is not None]
    top = max([*known, rule.value, 1e-9]) * 1.1
    width = WIDTH / len(past.points)

    def height(value: float) -> float:
        return round(min(value, top) / top * HEIGHT, 1)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "bars": [
            {
                "x": round(number * width, 1),
                "width": round(width * 0.8, 1),
                "y": round(HEIGHT - height(value), 1),
                "height": height(value),
                "hot": is_breach(rule, value),
            }
            for number, (_, value) in enumerate(past.points)
            if value
        ],
        "limit": round(HEIGHT - height(rule.value), 1),
        "limit_said": condition(rule),
        "top": figure(rule, max(known)) if known else "",
        "start": past.start,
        "end": past.end,
    }


def sentence(rule: Rule) -> str:
    """ "Exceptions of type:KeyError in 5 min above 50, for 2 min, each org"."""
    measure = measures.get(rule.measure)
    parts = [measure.label + (f" of {rule.query}" if rule.query else "")]
    parts += [f"in {duration(rule.window_seconds)}"] if measure.has_window else []
    parts.append(condition(rule))
    told = " ".join(parts)
    told += f", for {duration(rule.for_seconds)}" if rule.for_seconds else ""
    return told + (f", each {' and '.join(rule.group_by)}" if rule.group_by else "")
