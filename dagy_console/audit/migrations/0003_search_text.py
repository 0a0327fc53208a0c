"""Free text over the record. The table is rewritten once; its triggers see no row change by that."""

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Concat

# Without the actor: of the platform's staff, members see neither name nor address.
TEXT = " || chr(10) || ".join(["action", "resource_type", "resource_id", "resource_name", "reason"])


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_only_the_owner_makes_partitions")]

    operations = [
        TrigramExtension(),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"""
                    ALTER TABLE audit_entry ADD COLUMN search_text text GENERATED ALWAYS AS ({TEXT}) STORED;
                    CREATE INDEX audit_entry_search_text ON audit_entry USING gin (search_text gin_trgm_ops);
                    """,
                    "ALTER TABLE audit_entry DROP COLUMN search_text;",
                )
            ],
            state_operations=[
                migrations.AddField(
                    model_name="auditentry",
                    name="search_text",
                    field=models.GeneratedField(
                        db_persist=True,
                        expression=Concat(
                            "action",
                            Value("\n"),
                            "resource_type",
                            Value("\n"),
                            "resource_id",
                            Value("\n"),
                            "resource_name",
                            Value("\n"),
                            "reason",
                        ),
                        output_field=models.TextField(),
                    ),
                )
            ],
        ),
    ]
