"""The audit table: append-only (triggers refuse everything else), partitioned by month, no foreign keys."""

import uuid

from django.db import models


class AuditEntry(models.Model):
    """One recorded mutation or access event. Names and ids are copied as text, so that nothing can take them away.

    The table is made by hand in the first migration: in PostgreSQL its primary key is (at, id), since a partitioned
    table's key must hold the column it is cut by; Django needs to know of `id` only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    at = models.DateTimeField()
    action = models.TextField()
    outcome = models.TextField()
    actor_kind = models.TextField()
    actor_id = models.TextField()
    actor_email = models.TextField()
    actor_role = models.TextField()
    impersonator_id = models.TextField()
    impersonator_email = models.TextField()
    org_id = models.TextField()
    resource_type = models.TextField()
    resource_id = models.TextField()
    resource_name = models.TextField()
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    changes = models.JSONField(null=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.TextField()
    request_id = models.TextField()
    session_id = models.TextField()
    reason = models.TextField()

    class Meta:
        db_table = "audit_entry"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_email} {self.action} {self.resource_id}"
