import django.core.validators
import django.db.models.functions.text
from django.db import migrations, models

import dagy_console.accounts.models


def lower_emails(apps, schema_editor):
    """By Python, as the field does it: PostgreSQL's lower() depends on the locale."""
    users = apps.get_model("accounts", "User").objects
    for pk, email in users.values_list("pk", "email"):
        if email != email.lower():
            users.filter(pk=pk).update(email=email.lower())


class Migration(migrations.Migration):
    """Emails are in lower case and looked up as they are; organizations' ids differ by more than their case."""

    dependencies = [("accounts", "0002_organization")]

    operations = [
        migrations.RunPython(lower_emails, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="user", name="user_email_is_unique_whatever_its_case"),
        migrations.AlterField(
            model_name="user",
            name="email",
            field=dagy_console.accounts.models.LowerCaseEmailField(max_length=254, unique=True),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                name="user_email_is_lower_case",
            ),
        ),
        migrations.AlterField(
            model_name="organization",
            name="id",
            field=models.CharField(
                max_length=64,
                primary_key=True,
                serialize=False,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\\Z",
                        "1 to 64 letters, digits, _ or -, beginning with a letter or a digit",
                    ),
                    dagy_console.accounts.models.not_reserved,
                ],
            ),
        ),
        migrations.AddConstraint(
            model_name="organization",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("id"),
                name="organization_id_is_unique_whatever_its_case",
                violation_error_message="another organization has this id, whatever the case of its letters",
            ),
        ),
    ]
