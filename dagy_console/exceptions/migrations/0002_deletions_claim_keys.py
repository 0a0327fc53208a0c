import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# A constant default rewrites no row; 3 is older than every snapshot.
XID = """
ALTER TABLE trace ADD COLUMN indexed_xid xid8 NOT NULL DEFAULT '3'::xid8;
ALTER TABLE trace ALTER COLUMN indexed_xid SET DEFAULT pg_current_xact_id();
CREATE INDEX trace_unreadable ON trace (key) WHERE etag = 'unreadable';
"""
NO_XID = "DROP INDEX trace_unreadable; ALTER TABLE trace DROP COLUMN indexed_xid;"

# What is under way ends as stopped: keys that were on their way are asked for again and counted, no others begin.
HAND_OVER = """
INSERT INTO exceptions_deletionclaim (key, job_id, org_id)
SELECT key, job_id, '_none' FROM exceptions_deletionbatch, jsonb_array_elements_text(keys) AS key
ORDER BY key ON CONFLICT DO NOTHING;
UPDATE exceptions_deletionjob SET state = 'cancelling' WHERE finished_at IS NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0001_initial")]

    operations = [
        migrations.RunSQL(XID, NO_XID),
        migrations.AddField("indexstate", "refused", models.BigIntegerField(default=0)),
        migrations.AddField("indexstate", "refused_so_far", models.BigIntegerField(default=0)),
        migrations.AddField("deletionjob", "since", models.DateTimeField(default=django.utils.timezone.now)),
        migrations.AddField("deletionjob", "waiting_since", models.DateTimeField(null=True)),
        migrations.AddField("deletionjob", "pace", models.JSONField(default=list)),
        migrations.AddField("deletionjob", "snapshot_text", models.TextField(blank=True, default=""), False),
        migrations.AddField("deletionjob", "organizations", models.JSONField(default=dict)),
        migrations.CreateModel(
            name="DeletionClaim",
            fields=[
                ("key", models.TextField(primary_key=True, serialize=False, db_collation="C")),
                ("org_id", models.TextField()),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="claims", to="exceptions.deletionjob"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(HAND_OVER, migrations.RunSQL.noop),
        migrations.DeleteModel("DeletionBatch"),
    ]
