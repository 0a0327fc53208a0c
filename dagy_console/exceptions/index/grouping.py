"""Rows of groups: counted by triggers, in the transaction that changes the traces, whoever changes them.

A trigger locks its groups in the order of their fingerprints, after the traces themselves. `claim_groups` and
`lock_groups_of` lock them before: so two writers that have the same traces and groups wait for each other, and never
crosswise. A deletion that took a group's first or last trace reads the next one off the index, under that lock.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, migrations, transaction
from django.db.models import F

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM, Actor
from dagy_console.exceptions.models import GroupStatus, TraceGroup
from dagy_console.exceptions.reading.fields import IndexFields


def claim_groups(fields: Sequence[IndexFields]) -> None:
    """In a transaction: make and lock the groups that these traces will be of, under the names that they give."""
    groups = {item.fingerprint: item for item in fields}
    ordered = [groups[fingerprint] for fingerprint in sorted(groups)]
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            [
                [item.fingerprint for item in ordered],
                [item.title or item.exception_type for item in ordered],
                [item.canonical for item in ordered],
                [item.exception_type for item in ordered],
                [item.occurred_at for item in ordered],
            ],
        )


def lock_groups_of(keys: Sequence[str]) -> None:
    """In a transaction that will take these traces away."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_OF, [list(keys)])


def reopen_groups(fingerprints: Sequence[str]) -> None:
    """In the transaction that wrote their traces: those that were resolved before their last one are a regression."""
    came_back = TraceGroup.objects.filter(
        fingerprint__in=sorted(set(fingerprints)), status=GroupStatus.RESOLVED, last_seen__gt=F("status_at")
    )
    for group in came_back.order_by("fingerprint"):
        before = group.snapshot()
        group.status, group.regressed_at = GroupStatus.OPEN, group.last_seen
        group.save(update_fields=["status", "regressed_at"])
        record_status(Action.GROUP_REOPENED, group, actor=SYSTEM, before=before)


def record_status(
    action: Action, group: TraceGroup, *, actor: Actor, before: Mapping[str, Any], reason: str = ""
) -> None:
    """That its status is another than `before`: of the platform, for a group is no one organization's."""
    record(
        action,
        actor=actor,
        resource_type="group",
        resource_id=group.fingerprint,
        resource_name=group.title,
        org_id="",
        before=before,
        after=group.snapshot(),
        reason=reason,
    )


def recount_groups() -> None:
    """All of them, by the traces there are: a partition that is dropped calls no trigger. Writers wait meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RECOUNT)


# What is locked and need not change stays as it is: no new version of the row.
_CLAIM = """
INSERT INTO trace_group AS known (
    fingerprint, title, canonical, exception_type, first_seen, last_seen, count, organizations, status, note, status_by
)
SELECT fingerprint, title, canonical, exception_type, moment, moment, 0, 0, 'open', '', ''
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS given (fingerprint, title, canonical, exception_type, moment)
ORDER BY fingerprint COLLATE "C"
ON CONFLICT (fingerprint) DO UPDATE SET title = EXCLUDED.title, canonical = EXCLUDED.canonical
WHERE known.canonical <> EXCLUDED.canonical AND EXCLUDED.canonical <> ''
"""
_LOCK_OF = """
SELECT FROM trace_group WHERE fingerprint IN (SELECT fingerprint FROM trace WHERE key = ANY(%s))
ORDER BY fingerprint FOR UPDATE
"""
_TYPE = """
CREATE TYPE trace_group_change AS (
    fingerprint text, org_id text, exception_type text, count bigint, oldest timestamptz, newest timestamptz
)
"""
_ADDED = """
CREATE FUNCTION group_traces_added(changes trace_group_change[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trace_group AS known (
        fingerprint, title, canonical, exception_type, first_seen, last_seen, count, organizations, status, note,
        status_by
    )
    SELECT fingerprint, min(exception_type), '', min(exception_type), min(oldest), max(newest), sum(count), 0, 'open',
        '', ''
    FROM unnest(changes) GROUP BY fingerprint ORDER BY fingerprint COLLATE "C"
    ON CONFLICT (fingerprint) DO UPDATE SET
        count = known.count + EXCLUDED.count,
        first_seen = CASE WHEN known.count = 0 THEN EXCLUDED.first_seen
                          ELSE least(known.first_seen, EXCLUDED.first_seen) END,
        last_seen = CASE WHEN known.count = 0 THEN EXCLUDED.last_seen
                         ELSE greatest(known.last_seen, EXCLUDED.last_seen) END;
    WITH put AS (
        INSERT INTO trace_group_organization AS known (fingerprint, org_id, count, first_seen)
        SELECT fingerprint, org_id, sum(count), min(oldest) FROM unnest(changes) GROUP BY fingerprint, org_id
        ON CONFLICT (fingerprint, org_id) DO UPDATE
        SET count = known.count + EXCLUDED.count, first_seen = least(known.first_seen, EXCLUDED.first_seen)
        RETURNING fingerprint, xmax = 0 AS is_new
    )
    UPDATE trace_group SET organizations = organizations + more.count
    FROM (SELECT fingerprint, count(*) AS count FROM put WHERE is_new GROUP BY fingerprint) AS more
    WHERE trace_group.fingerprint = more.fingerprint;
END
$$
"""
_REMOVED = """
CREATE FUNCTION group_traces_removed(changes trace_group_change[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM trace_group WHERE fingerprint IN (SELECT fingerprint FROM unnest(changes))
    ORDER BY fingerprint FOR UPDATE;
    UPDATE trace_group_organization AS known SET count = known.count - gone.count
    FROM (SELECT fingerprint, org_id, sum(count) AS count FROM unnest(changes) GROUP BY fingerprint, org_id) AS gone
    WHERE known.fingerprint = gone.fingerprint AND known.org_id = gone.org_id;
    WITH without AS (
        DELETE FROM trace_group_organization AS known USING (SELECT DISTINCT fingerprint, org_id FROM unnest(changes))
            AS gone
        WHERE known.fingerprint = gone.fingerprint AND known.org_id = gone.org_id AND known.count = 0
        RETURNING known.fingerprint
    )
    UPDATE trace_group SET organizations = organizations - fewer.count
    FROM (SELECT fingerprint, count(*) AS count FROM without GROUP BY fingerprint) AS fewer
    WHERE trace_group.fingerprint = fewer.fingerprint;
    UPDATE trace_group AS known SET
        count = known.count - gone.count,
        first_seen = CASE WHEN known.first_seen < gone.oldest THEN known.first_seen ELSE coalesce((
            SELECT timestamp FROM trace WHERE trace.fingerprint = gone.fingerprint ORDER BY timestamp, key LIMIT 1
        ), known.first_seen) END,
        last_seen = CASE WHEN known.last_seen > gone.newest THEN known.last_seen ELSE coalesce((
            SELECT timestamp FROM trace WHERE trace.fingerprint = gone.fingerprint
            ORDER BY timestamp DESC, key DESC LIMIT 1
        ), known.last_seen) END
    FROM (
        SELECT fingerprint, sum(count) AS count, min(oldest) AS oldest, max(newest) AS newest
        FROM unnest(changes) GROUP BY fingerprint
    ) AS gone
    WHERE known.fingerprint = gone.fingerprint;
END
$$
"""
_CHANGES = """
SELECT array_agg(ROW(fingerprint, org_id, exception_type, count, oldest, newest)::trace_group_change) INTO changes
FROM (
    SELECT fingerprint, org_id, min(exception_type) AS exception_type, count(*), min(timestamp) AS oldest,
        max(timestamp) AS newest
    FROM {rows} GROUP BY fingerprint, org_id
) AS counted;
IF changes IS NOT NULL THEN
    PERFORM group_traces_{verb}(changes);
END IF;
"""
_COUNTED = "fingerprint, org_id, exception_type, timestamp"
_MOVED = "(SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}) AS moved"
_FUNCTION = f"""
CREATE FUNCTION group_traces() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changes trace_group_change[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM trace_group_organization;
        UPDATE trace_group SET count = 0, organizations = 0;
    ELSIF TG_OP = 'INSERT' THEN
        {_CHANGES.format(rows="new_rows", verb="added")}
    ELSIF TG_OP = 'DELETE' THEN
        {_CHANGES.format(rows="old_rows", verb="removed")}
    ELSE
        {_CHANGES.format(rows=_MOVED.format(_COUNTED, "old_rows", "new_rows"), verb="removed")}
        {_CHANGES.format(rows=_MOVED.format(_COUNTED, "new_rows", "old_rows"), verb="added")}
    END IF;
    RETURN NULL;
END
$$
"""
_REFERENCING = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}
_FILL = """
INSERT INTO trace_group (
    fingerprint, title, canonical, exception_type, first_seen, last_seen, count, organizations, status, note, status_by
)
SELECT fingerprint, min(exception_type), '', min(exception_type), min(timestamp), max(timestamp), count(*),
    count(DISTINCT org_id), 'open', '', ''
FROM trace GROUP BY fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
    count = EXCLUDED.count, organizations = EXCLUDED.organizations, first_seen = EXCLUDED.first_seen,
    last_seen = EXCLUDED.last_seen;
INSERT INTO trace_group_organization (fingerprint, org_id, count, first_seen)
SELECT fingerprint, org_id, count(*), min(timestamp) FROM trace GROUP BY fingerprint, org_id;
"""
# Groups first: a writer locks its groups before it writes traces.
_RECOUNT = f"""
LOCK TABLE trace_group IN EXCLUSIVE MODE;
LOCK TABLE trace IN SHARE MODE;
DELETE FROM trace_group_organization;
UPDATE trace_group SET count = 0, organizations = 0;
{_FILL}
"""


def grouped() -> list[migrations.RunSQL]:
    """For a migration: the triggers, and the groups of the traces that there are."""
    triggers = [
        migrations.RunSQL(
            f"CREATE TRIGGER group_traces_{event.lower()} AFTER {event} ON trace {referencing} "
            "FOR EACH STATEMENT EXECUTE FUNCTION group_traces()",
            f"DROP TRIGGER group_traces_{event.lower()} ON trace",
        )
        for event, referencing in _REFERENCING.items()
    ]
    return [
        migrations.RunSQL(_TYPE, "DROP TYPE trace_group_change"),
        migrations.RunSQL(_ADDED, "DROP FUNCTION group_traces_added"),
        migrations.RunSQL(_REMOVED, "DROP FUNCTION group_traces_removed"),
        migrations.RunSQL(_FUNCTION, "DROP FUNCTION group_traces"),
        *triggers,
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
