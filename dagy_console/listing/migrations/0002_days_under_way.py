import django.utils.timezone
from django.db import migrations, models

from dagy_console.listing.marking import MARK


class Migration(migrations.Migration):
    dependencies = [("listing", "0001_rollups")]

    operations = [
        # They are counted again within minutes.
        migrations.RunSQL("DELETE FROM listing_rolledupday", migrations.RunSQL.noop),
        migrations.AddField(
            "rolledupday",
            "until",
            models.DateTimeField(default=django.utils.timezone.now),
            preserve_default=False,
        ),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
