"""What a super admin did as somebody else is found at once; few entries have an impersonator."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_search_text")]

    operations = [
        migrations.RunSQL(
            """
            CREATE INDEX audit_entry_impersonator ON audit_entry (impersonator_email, at DESC, id DESC)
                WHERE impersonator_email <> '';
            """,
            "DROP INDEX audit_entry_impersonator;",
        )
    ]
