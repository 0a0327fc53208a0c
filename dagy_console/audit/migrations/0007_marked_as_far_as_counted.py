from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_marked_hours"), ("listing", "0003_counted_until")]

    operations = [
        remarked("audit_entry", time="at", columns=("action", "actor_email", "org_id", "resource_type", "outcome"))
    ]
