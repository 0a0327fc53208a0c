from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_marked_days"), ("listing", "0002_days_under_way")]

    operations = [
        remarked("audit_entry", time="at", columns=("action", "actor_email", "org_id", "resource_type", "outcome"))
    ]
