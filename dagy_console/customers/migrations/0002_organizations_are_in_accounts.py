from django.db import migrations


class Migration(migrations.Migration):
    """The table went to `accounts` with accounts.0002."""

    dependencies = [
        ("customers", "0001_initial"),
        ("accounts", "0002_organization"),
    ]

    operations = [migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name="Organization")])]
