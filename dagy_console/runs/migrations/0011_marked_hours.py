from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("runs", "0010_marked_days"), ("listing", "0002_days_under_way")]

    operations = [
        remarked("runs_run", time="created_at", columns=("flow_id", "status", "organization_id", "error_type"))
    ]
