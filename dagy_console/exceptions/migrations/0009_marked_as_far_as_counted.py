from django.db import migrations

from dagy_console.listing.marking import remarked


class Migration(migrations.Migration):
    dependencies = [("exceptions", "0008_narrow_indexes"), ("listing", "0003_counted_until")]

    operations = [
        remarked(
            "trace",
            time="timestamp",
            columns=("exception_type", "org_id", "http_method", "http_path", "function_name", "fingerprint"),
        )
    ]
