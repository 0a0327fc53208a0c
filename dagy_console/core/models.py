"""What every app stands on, as rows: mails that wait to be sent."""

from django.db import models
from django.db.models.functions import Now


class OutgoingMail(models.Model):
    """A mail of the outbox. Its text is emptied once it was sent: it may hold a link that opens an account."""

    to = models.JSONField()
    subject = models.TextField()
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    # When it may be tried next; null once it was sent or given up.
    next_at = models.DateTimeField(db_default=Now(), null=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    # What the server said last.
    problem = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(next_at__isnull=False), name="mail_that_waits"),
            models.Index(fields=["created_at"], name="mail_by_age"),
        ]

    def __str__(self) -> str:
        return f"mail {self.pk}"
