from django.db import migrations, models

from dagy_console.listing.marking import MARK

KEPT = "UPDATE listing_rolledupday SET counted_until = until WHERE is_counted"


class Migration(migrations.Migration):
    dependencies = [("listing", "0002_days_under_way")]

    operations = [
        migrations.AddField("rolledupday", "counted_until", models.DateTimeField(null=True)),
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
        migrations.RemoveField("rolledupday", "is_counted"),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
