"""Leases: one worker at a time on a row, and another one takes over when it dies."""

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Leased(models.Model):
    """A row that one worker holds at a time. The database's clock decides, so workers' clocks need not agree."""

    lease_owner = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def free() -> Q:
    """Rows that nobody holds."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=Now())


def take(rows: models.QuerySet[Any], *, seconds: float) -> uuid.UUID | None:
    """Claim the rows (one row, usually) and return the lease's token, or None where somebody holds them."""
    token = uuid.uuid4()
    taken = rows.filter(free()).update(lease_owner=token, lease_until=Now() + timedelta(seconds=seconds))
    return token if taken else None


def renew(rows: models.QuerySet[Any], token: uuid.UUID, *, seconds: float) -> bool:
    """Extend the lease. False: it was lost, and whatever the holder does now must not be written."""
    return bool(rows.filter(lease_owner=token).update(lease_until=Now() + timedelta(seconds=seconds)))


def give_back(rows: models.QuerySet[Any], token: uuid.UUID) -> None:
    rows.filter(lease_owner=token).update(lease_owner=None, lease_until=None)
