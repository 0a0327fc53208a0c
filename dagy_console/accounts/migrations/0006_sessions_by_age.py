"""The list of sessions is in the order of signing in; allauth's table has no index for that."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_suspensions_and_impersonations"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX usersession_newest ON usersessions_usersession (created_at DESC, id DESC);",
            "DROP INDEX usersession_newest;",
        )
    ]
