"""A channel that fails is an alert: of a rule like any other, so that it can be changed, told further, and turned off."""

from django.db import migrations


def make_rule(apps, schema_editor):
    rules = apps.get_model("alerts", "Rule").objects
    if rules.filter(measure="channel_failing").exists():
        return
    rules.create(
        name="A channel fails",
        measure="channel_failing",
        group_by=["channel"],
        window_seconds=300,
        op="above",
        value=0,
        for_seconds=120,
        severity="warning",
        created_by="system",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0003_measures"),
    ]

    operations = [migrations.RunPython(make_rule, migrations.RunPython.noop)]
