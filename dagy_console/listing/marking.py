"""Whether a day's counts hold: said by triggers, in the transaction that changes its rows, whoever changes them.

A change shares the lock of its day's row in `listing_rolledupday`, and where it lies before `counted_until`, takes that
back. `rollups.roll_up` counts a day under that row's exclusive lock: it sees what was changed before, and what is
changed at the same time takes the mark back when it is done. Where there is no row yet, or it reaches less far, nothing
is locked: no day is counted while a transaction goes on that may not have seen how far it reaches. A day that is under
way reaches to the end of its last full hour, so that changes hardly ever wait.
"""

from collections.abc import Sequence

from django.db import migrations

MARK = """
CREATE OR REPLACE FUNCTION mark_days(name text, hours timestamptz[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changed date[];
BEGIN
    SELECT array_agg(day) INTO changed FROM (
        SELECT day FROM listing_rolledupday AS reaching
        WHERE source = name AND day IN (SELECT (hour AT TIME ZONE 'UTC')::date FROM unnest(hours) AS hour)
          AND EXISTS (
              SELECT FROM unnest(hours) AS hour WHERE (hour AT TIME ZONE 'UTC')::date = day AND hour < until
          )
        ORDER BY day FOR KEY SHARE OF reaching
    ) AS locked;
    IF changed IS NOT NULL THEN
        UPDATE listing_rolledupday SET counted_until = NULL
        WHERE source = name AND day = ANY(changed) AND EXISTS (
            SELECT FROM unnest(hours) AS hour WHERE (hour AT TIME ZONE 'UTC')::date = day AND hour < counted_until
        );
    END IF;
END
$$
"""
UNMARK = "DROP FUNCTION mark_days(text, timestamptz[])"
_FUNCTION = """
CREATE OR REPLACE FUNCTION mark_days_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hours timestamptz[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE listing_rolledupday SET counted_until = NULL WHERE source = '{table}';
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT {hour}) INTO hours FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT {hour}) INTO hours FROM old_rows;
    ELSE
        SELECT array_agg(DISTINCT {hour}) INTO hours FROM (
            (SELECT {counted} FROM old_rows EXCEPT ALL SELECT {counted} FROM new_rows)
            UNION ALL
            (SELECT {counted} FROM new_rows EXCEPT ALL SELECT {counted} FROM old_rows)
        ) AS differing;
    END IF;
    IF hours IS NOT NULL THEN
        PERFORM mark_days('{table}', hours);
    END IF;
    RETURN NULL;
END
$$
"""
_TRIGGER = """
CREATE TRIGGER mark_days_{event} AFTER {event} ON {table} {referencing}
FOR EACH STATEMENT EXECUTE FUNCTION mark_days_of_{table}()
"""
_REFERENCING = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}


def _function(table: str, time: str, columns: Sequence[str]) -> str:
    counted, hour = ", ".join((time, *columns)), f"date_trunc('hour', {time}, 'UTC')"
    return _FUNCTION.format(table=table, hour=hour, counted=counted)


def remarked(table: str, *, time: str, columns: Sequence[str]) -> migrations.RunSQL:
    """For a migration: the function that the triggers of `marked` call, as it is now, in place of an earlier one."""
    return migrations.RunSQL(_function(table, time, columns), migrations.RunSQL.noop)


def marked(table: str, *, time: str, columns: Sequence[str]) -> list[migrations.RunSQL]:
    """For a migration: the triggers of a list's table. `columns` are those that its facets are made of."""
    return [
        migrations.RunSQL(_function(table, time, columns), f"DROP FUNCTION mark_days_of_{table}"),
        *(
            migrations.RunSQL(
                _TRIGGER.format(event=event, table=table, referencing=referencing),
                f"DROP TRIGGER mark_days_{event} ON {table}",
            )
            for event, referencing in _REFERENCING.items()
        ),
    ]
