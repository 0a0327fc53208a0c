"""What every app stands on, as rows: mails that wait to be sent, destinations that fail, and answers that a repeated
request gets again."""

from django.db import models
from django.db.models.functions import Now

from dagy_console.core.leases import Leased


class OutgoingMail(Leased):
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


class Destination(models.Model):
    """A receiver outside that did not take what was sent last: a channel, or the mail server. No row: it works."""

    key = models.TextField(primary_key=True)
    # In a row.
    failures = models.PositiveIntegerField(default=1)
    # Nothing is sent to it before.
    rests_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key


class IdempotentAnswer(models.Model):
    """The answer that one key was given. `body` is encrypted: some answers show a secret once."""

    # Whose key it is: keys of different actors have nothing to do with each other.
    owner = models.TextField()
    key = models.CharField(max_length=255)
    # Method and path, and the SHA-256 of the body.
    operation = models.TextField()
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_answer_a_key")]

    def __str__(self) -> str:
        return f"{self.status} to {self.operation}"
