from django.db import migrations

from dagy_console.listing.marking import marked


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_by_impersonator"), ("listing", "0001_rollups")]

    operations = marked(
        "audit_entry", time="at", columns=("action", "actor_email", "org_id", "resource_type", "outcome")
    )
