from django.db import migrations

from dagy_console.listing.marking import marked


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0003_trace_run"), ("listing", "0001_rollups")]

    operations = marked(
        "trace",
        time="timestamp",
        columns=("exception_type", "org_id", "http_method", "http_path", "function_name", "fingerprint"),
    )
