"""Rules as JSON and on pages."""

from typing import Any

from django.urls import reverse

from dagy_console.alerts import measures
from dagy_console.alerts.models import Rule
from dagy_console.alerts.telling import condition
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.core.words import duration
from dagy_console.listing.language import Query


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
        "repeat_seconds": rule.repeat_seconds,
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
        "org_id": rule.organization_id,
        "channels": [
            {"name": visible(channel.name), "url": reverse("channels:channel", args=[channel.pk])}
            for channel in rule.channels.all()
        ],
        "checked_at": rule.checked_at,
        "created_at": rule.created_at,
        "created_by": visible(rule.created_by),
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
