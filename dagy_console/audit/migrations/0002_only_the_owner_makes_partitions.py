from django.db import migrations

# Runs as its owner, for an application that may make no table: so every name is written out, and only tables that are
# partitioned already get anything. A partition is attached, not created in place: that would lock every reader of the
# table out for the moment. Row triggers come with ATTACH; TRUNCATE of a partition passes its parent's triggers by.
# pg_class is read, not to_regclass(), whose cache may be older than the last drop.
MAKE_PARTITION = """
CREATE FUNCTION make_partition(parent text, moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    month timestamptz := date_trunc('month', moment);
    partition text := parent || to_char(month, '_YYYY_MM');
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('partitions of ' || parent));
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass('public.' || quote_ident(parent))) THEN
        RAISE EXCEPTION '% is no partitioned table', parent;
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%1$I (LIKE public.%2$I INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)',
        partition, parent);
    EXECUTE format(
        'ALTER TABLE public.%2$I ATTACH PARTITION public.%1$I FOR VALUES FROM (%3$L) TO (%4$L)',
        partition, parent, month, month + interval '1 month');
    IF parent = 'audit_entry' THEN
        EXECUTE format(
            'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.audit_entry_is_append_only()', partition);
    END IF;
END $$;
REVOKE ALL ON FUNCTION make_partition FROM PUBLIC;
"""

AT_IS_NOW = """
CREATE FUNCTION audit_entry_is_of_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.at NOT BETWEEN clock_timestamp() - interval '5 minutes' AND clock_timestamp() + interval '5 minutes' THEN
        RAISE EXCEPTION 'the audit log is written as things happen: an entry of % is refused at % by the database''s clock',
            NEW.at, clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_entry_of_now BEFORE INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_is_of_now();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(MAKE_PARTITION, "DROP FUNCTION make_partition;"),
        migrations.RunSQL(
            AT_IS_NOW, "DROP TRIGGER audit_entry_of_now ON audit_entry; DROP FUNCTION audit_entry_is_of_now();"
        ),
    ]
