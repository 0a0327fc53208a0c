from django.db import migrations

from dagy_console.listing.marking import marked


class Migration(migrations.Migration):
    dependencies = [("runs", "0009_local_runs"), ("listing", "0001_rollups")]

    operations = marked("runs_run", time="created_at", columns=("flow_id", "status", "organization_id", "error_type"))
