from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("runs", "0011_marked_hours"), ("listing", "0003_counted_until")]

    operations = [
        remarked("runs_run", time="created_at", columns=("flow_id", "status", "organization_id", "error_type"))
    ]
