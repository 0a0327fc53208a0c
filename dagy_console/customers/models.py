"""Organizations: the platform's customers."""

from django.core.validators import RegexValidator
from django.db import models

ORG_ID = RegexValidator(r"^[A-Za-z0-9_-]{1,64}$", "1 to 64 letters, digits, _ or -")


class Organization(models.Model):
    """A tenant. Its id is what traces, runs and audit entries carry."""

    id = models.CharField(primary_key=True, max_length=64, validators=[ORG_ID])
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id
