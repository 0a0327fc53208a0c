from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0004_marked_days"), ("listing", "0002_days_under_way")]

    operations = [
        remarked(
            "trace",
            time="timestamp",
            columns=("exception_type", "org_id", "http_method", "http_path", "function_name", "fingerprint"),
        )
    ]
