from django.db import migrations, models

# A constant default rewrites no row. Few traces are of a run, so the others take no room in the index.
RUN = """
ALTER TABLE trace ADD COLUMN run_id text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX trace_run_id ON trace (run_id, timestamp DESC, key DESC) WHERE run_id <> '';
"""


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0002_deletions_claim_keys")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(RUN, "ALTER TABLE trace DROP COLUMN run_id;")],
            state_operations=[migrations.AddField("trace", "run_id", models.TextField(default=""))],
        ),
    ]
