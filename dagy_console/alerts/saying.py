"""What a message says besides the count: whom it hits, the worst of it, what was changed before it.

It is looked up while the alert's state is written, so it may take no time: what is not found at once is left out.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection

from dagy_console.alerts import measures
from dagy_console.alerts.measures import Asked
from dagy_console.alerts.models import Alert, Rule
from dagy_console.audit.actions import Action, Nature
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.selectors import as_members_see
from dagy_console.audit.serializers import description_of
from dagy_console.core.database import STATEMENT_SECONDS, TookTooLong, time_limit
from dagy_console.core.words import duration
from dagy_console.listing.language import Term

SECONDS = 0.3
BEFORE = timedelta(hours=1)
LONGEST = 200
# What is done about an alert is no cause of it.
_NO_CAUSE = ("alert", "silence", "rotation", "delivery", "rule", "channel", "deletion", "group", "trace_index", "run")
_CAUSES = [
    action.value
    for action in Action
    if action.nature is Nature.CHANGES and action.value.partition(".")[0] not in _NO_CAUSE
]


def details(rule: Rule, alert: Alert) -> dict[str, str]:
    """Lines of name and value."""
    asked = _asked(rule, alert)
    found = _in_time(lambda: measures.get(rule.measure).details(asked))
    changed = _in_time(lambda: _last_change(rule, alert))
    return {name: value[:LONGEST] for name, value in (found | changed).items()}


def rows_url(rule: Rule, alert: Alert) -> str:
    """The list of what the alert counts, "" where there is none."""
    measure = measures.get(rule.measure)
    if not measure.has_window or not measure.has_history:
        return ""
    query = measure.parse(_query(rule, alert), rule.org_id)
    since = alert.since - timedelta(seconds=rule.window_seconds)
    return query.with_term(Term("after", f"{since:%Y-%m-%dT%H:%M:%SZ}")).url


def _asked(rule: Rule, alert: Alert) -> Asked:
    start = alert.since - timedelta(seconds=rule.window_seconds)
    return Asked(_query(rule, alert), rule.org_id, (), start, alert.since + timedelta(seconds=1))


def _query(rule: Rule, alert: Alert) -> str:
    if alert.is_of_no_data:
        return rule.query
    narrowed = (Term(key, value).text for key, value in alert.dimensions.items() if value)
    return " ".join([rule.query, *narrowed]).strip()


def _last_change(rule: Rule, alert: Alert) -> dict[str, str]:
    rows = AuditEntry.objects.filter(at__gte=alert.since - BEFORE, at__lte=alert.since, action__in=_CAUSES)
    hit = alert.dimensions.get("org", "")
    if rule.org_id:
        # Its members are told what they may see.
        rows = rows.filter(org_id=rule.org_id)
    elif hit:
        rows = rows.filter(org_id__in=(hit, ""))
    last: Any = as_members_see(rows).order_by("-at").first()
    if last is None:
        return {}
    who = last.shown_actor if rule.org_id else last.actor_email
    what = f"{description_of(last.action)} {last.resource_name}".strip()
    return {"changed before": f"{who}, {duration(alert.since - last.at)} before: {what}"}


def _in_time(look: Callable[[], dict[str, str]]) -> dict[str, str]:
    try:
        with time_limit(SECONDS):
            found = look()
    except TookTooLong:
        found = {}
    with connection.cursor() as cursor:
        # Of the transaction that goes on, in which there is more to write than to look up.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"])
    return found
