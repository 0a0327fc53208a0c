"""Channels, and what goes out by them: one row for each message, one for each time that it was tried."""

import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now

from dagy_console.accounts.models import Organization
from dagy_console.core import destinations
from dagy_console.core.encryption import decrypt, encrypt
from dagy_console.core.leases import Leased


class ChannelType(models.TextChoices):
    SLACK = "slack", "Slack"
    EMAIL = "email", "Email"
    WEBHOOK = "webhook", "Webhook"
    PAGERDUTY = "pagerduty", "PagerDuty"


class Channel(models.Model):
    """Where to tell. Without an organization it is the platform's. `encrypted` is its config as JSON."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.TextField()
    channel_type = models.TextField(choices=ChannelType.choices)
    encrypted = models.TextField()
    # Told what no other channel could be told.
    is_last_resort = models.BooleanField(default=False)
    # What it answered last where that was a refusal, and since when; "" where it works.
    problem = models.TextField(blank=True, default="")
    # Whose refusal that is, where a channel has several recipients.
    problem_of = models.TextField(blank=True, default="")
    failing_since = models.DateTimeField(null=True)
    proven_at = models.DateTimeField(null=True)
    # Since its receiver said that it is gone for good; null where it is told things.
    off_since = models.DateTimeField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_channel_of_a_name"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(organization=None), name="one_platform_channel_of_a_name"
            ),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="channel_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def destination(self) -> str:
        """The key of its breaker: all mail goes by one server."""
        return destinations.SMTP if self.channel_type == ChannelType.EMAIL else str(self.pk)

    @property
    def config(self) -> dict[str, Any]:
        """Raises NotDecryptable."""
        found: dict[str, Any] = json.loads(decrypt(self.encrypted))
        return found

    @config.setter
    def config(self, config: dict[str, Any]) -> None:
        self.encrypted = encrypt(json.dumps(config))

    @property
    def opens(self) -> bool:
        """Whether what it tells opens something, which only the same config can close."""
        return self.channel_type == ChannelType.PAGERDUTY

    @property
    def org_id(self) -> str:
        return self.organization_id or ""


class Recipient(models.Model):
    """An address of an email channel. It gets mails from when its owner said yes until they say stop."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="recipients")
    address = models.TextField()
    # Whether the channel's config names it: what its owner said is kept where it does no more.
    is_listed = models.BooleanField(default=True)
    asked_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "address"], name="one_recipient_of_an_address")]

    def __str__(self) -> str:
        return self.address

    @property
    def state(self) -> str:
        """ "stopped", "confirmed" or "asked"."""
        if self.stopped_at:
            return "stopped"
        return "confirmed" if self.confirmed_at else "asked"


class DeliveryStatus(models.TextChoices):
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


class Delivery(Leased):
    """One message by one channel, to one of its recipients where it has several. Those of the same `subject` go out in
    the order in which they were written."""

    # In the order in which they were written.
    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(unique=True, default=uuid.uuid4)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    # A message of the same key is written once for a channel and recipient.
    key = models.TextField()
    # An address of an email channel; "" of the others, and where there was none to send it to.
    recipient = models.TextField(blank=True, default="")
    subject = models.TextField()
    message = models.JSONField()
    status = models.TextField(choices=DeliveryStatus.choices, default=DeliveryStatus.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    # When it is tried next; null where it is not.
    next_at = models.DateTimeField(db_default=Now(), null=True)
    sent_at = models.DateTimeField(null=True)
    # The channel's config, encrypted, as it was taken by a service that opens something under a key of it.
    sent_with = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "key", "recipient"], name="one_delivery_of_a_key_and_recipient")
        ]
        indexes = [
            models.Index(fields=["next_at", "number"], condition=models.Q(status="waiting"), name="delivery_in_turn"),
            models.Index(
                fields=["channel", "subject", "number"],
                condition=models.Q(status="waiting"),
                name="delivery_in_order",
            ),
            models.Index(fields=["-created_at", "-id"], name="delivery_newest"),
            models.Index(fields=["organization", "-created_at", "-id"], name="delivery_of_organization"),
            models.Index(fields=["status", "-created_at", "-id"], name="delivery_by_status"),
            GinIndex(OpClass("subject", name="gin_trgm_ops"), name="delivery_subject"),
            models.Index(
                fields=["lease_until"], condition=models.Q(lease_until__isnull=False), name="delivery_under_way"
            ),
            # Who was told of something.
            models.Index(fields=["subject", "channel"], name="delivery_told"),
        ]

    def __str__(self) -> str:
        return f"{self.key} by {self.channel_id}"


class Attempt(models.Model):
    """What came of trying once. `status` is HTTP's or SMTP's; null where nobody answered."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField(db_default=Now())
    status = models.PositiveIntegerField(null=True)
    answer = models.TextField()
    seconds = models.FloatField()

    def __str__(self) -> str:
        return f"{self.status} {self.answer}"


class Rotation(models.Model):
    """Who is on call: a week each, in turn. It hands over every week at the weekday and the time of day, in its zone,
    at which the first turn began (`alerts.on_call`). Without an organization it is the platform's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.TextField()
    # Whose turns, from the first to the last: ids as text. One channel may have several.
    channel_ids = models.JSONField()
    # The same without their order, so that none of them can be gone.
    channels = models.ManyToManyField(Channel, related_name="rotations")
    time_zone = models.TextField()
    # When the first turn begins; before it, too, the first is on call.
    starts_at = models.DateTimeField()
    created_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_rotation_of_a_name"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(organization=None), name="one_platform_rotation_of_a_name"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="rotation_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def org_id(self) -> str:
        return self.organization_id or ""


class Override(models.Model):
    """Who is on call in place of whose turn it is, for a while. No two of a rotation overlap."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    rotation = models.ForeignKey(Rotation, on_delete=models.CASCADE, related_name="overrides")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="overrides")
    starts_at = models.DateTimeField()
    # Brought forward where it is ended by hand.
    until = models.DateTimeField()
    reason = models.TextField(blank=True, default="")
    created_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["rotation", "until"], name="override_of_rotation"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} until {self.until}"


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Op(models.TextChoices):
    ABOVE = "above", "is above"
    BELOW = "below", "is below"
    CHANGE = "change", "grew, against the window before, by more than (times)"


class NoData(models.TextChoices):
    """What becomes of a rule where there is nothing to measure."""

    OK = "ok", "nothing is wrong"
    KEEP = "keep", "all stays as it was"
    ALERT = "alert", "it fires"


class Rule(models.Model):
    """What to watch: a measure over the last window, for each value of its dimensions. Without an organization it is
    the platform's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.TextField()
    measure = models.TextField()
    # In the search language of the measure's list.
    query = models.TextField(blank=True, default="")
    window_seconds = models.PositiveIntegerField()
    op = models.TextField(choices=Op.choices)
    value = models.FloatField()
    # Keys of that language; an alert for each of their values.
    group_by = models.JSONField(default=list)
    for_seconds = models.PositiveIntegerField(default=0)
    severity = models.TextField(choices=Severity.choices)
    channels = models.ManyToManyField(Channel, related_name="rules")
    # Whoever is on call of them is told besides.
    rotations = models.ManyToManyField(Rotation, related_name="rules")
    repeat_seconds = models.PositiveIntegerField(default=0)
    # Whom else, where nobody acknowledges: {"after_seconds", "channel_ids", "rotation_ids"}, from the first to the
    # last. Those that were kept before there were rotations have no `rotation_ids`.
    escalation = models.JSONField(default=list)
    no_data = models.TextField(choices=NoData.choices, default=NoData.OK)
    # When it watches (what `hours.parse` takes); null: always.
    hours = models.JSONField(null=True)
    enabled = models.BooleanField(default=True)
    # When it was looked at last, and what kept that from being done; "" where nothing does.
    checked_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")
    created_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_rule_of_a_name"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(organization=None), name="one_platform_rule_of_a_name"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="rule_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def org_id(self) -> str:
        return self.organization_id or ""


class Silence(models.Model):
    """What keeps alerts from being told, for a while: they fire, and are shown. Without an organization it is the
    platform's. `matchers` are terms: {"key", "value", "negated"}; `text` says the same in the search language."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    matchers = models.JSONField()
    text = models.TextField()
    reason = models.TextField()
    # Made earlier than that, it is a maintenance window.
    starts_at = models.DateTimeField()
    # Brought forward where it is ended by hand.
    until = models.DateTimeField()
    ended_by = models.TextField(blank=True, default="")
    # Whether whoever made it was told that it is over.
    end_told = models.BooleanField(default=False)
    created_by = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["until"], name="silence_until"),
            models.Index(fields=["until"], condition=models.Q(end_told=False), name="silence_end_not_told"),
            models.Index(fields=["-created_at", "-id"], name="silence_newest"),
            models.Index(fields=["organization", "-created_at", "-id"], name="silence_of_organization"),
            GinIndex(OpClass("text", name="gin_trgm_ops"), name="silence_text"),
        ]

    def __str__(self) -> str:
        return self.text


class Storm(models.Model):
    """Many alerts of one rule at once, told as one, until the last of them is over."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="storms")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    notified_at = models.DateTimeField(null=True)
    # How often it was told, and how many alerts were said last.
    told = models.PositiveIntegerField(default=0)
    told_count = models.PositiveIntegerField(default=0)
    escalated = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule"], condition=models.Q(closed_at=None), name="one_open_storm_of_a_rule"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} since {self.opened_at}"


class AlertStatus(models.TextChoices):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


# One that fires so often within so long is held open until it was quiet for that long.
FLAPS, FLAPS_WITHIN, QUIET = 3, timedelta(hours=1), timedelta(minutes=15)
OPEN = (AlertStatus.PENDING, AlertStatus.FIRING)


class Alert(models.Model):
    """One firing of a rule for one value of its dimensions, from pending to resolved. One that never fired is deleted
    when it clears."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="alerts")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="+")
    # Key of the language -> value; `label` says the same in words.
    dimensions = models.JSONField(default=dict)
    label = models.TextField(blank=True, default="")
    status = models.TextField(choices=AlertStatus.choices, default=AlertStatus.PENDING)
    # At the last check, and the most that it was.
    value = models.FloatField()
    peak = models.FloatField()
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    # "" where it cleared by itself.
    resolved_by = models.TextField(blank=True, default="")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.TextField(blank=True, default="")
    notified_at = models.DateTimeField(null=True)
    # The one that kept it quiet last; and whether it does.
    silence = models.ForeignKey(Silence, on_delete=models.SET_NULL, null=True, related_name="alerts")
    is_silenced = models.BooleanField(default=False)
    storm = models.ForeignKey(Storm, on_delete=models.SET_NULL, null=True, related_name="alerts")
    # How often it has fired within an hour, this time included; and since when it would be over, were it not for that.
    flaps = models.PositiveIntegerField(default=0)
    quiet_since = models.DateTimeField(null=True)
    # How often its channels were told that it fires.
    told = models.PositiveIntegerField(default=0)
    # How many steps of its rule's escalation were taken.
    escalated = models.PositiveIntegerField(default=0)
    # It was over before anybody noticed: nobody checked rules then.
    is_missed = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "label"],
                condition=models.Q(status__in=["pending", "firing"]),
                name="one_open_alert_of_a_rule_and_label",
            ),
        ]
        indexes = [
            models.Index(fields=["-since", "-id"], name="alert_newest"),
            models.Index(fields=["status", "-since", "-id"], name="alert_by_status"),
            models.Index(fields=["organization", "-since", "-id"], name="alert_of_organization"),
            GinIndex(OpClass("label", name="gin_trgm_ops"), name="alert_label"),
            models.Index(
                fields=["resolved_at"], condition=models.Q(is_missed=True, told=0), name="alert_missed_not_told"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.label} {self.status}"

    @property
    def is_flapping(self) -> bool:
        return self.flaps >= FLAPS

    @property
    def is_of_no_data(self) -> bool:
        return self.label == "data:none"


class CheckerState(models.Model):
    """What the last round of checks was like: one row."""

    began_at = models.DateTimeField(null=True)
    # How long there was none, and when there was one again.
    away_seconds = models.FloatField(default=0)
    away_until = models.DateTimeField(null=True)
    # Since when what fired and was over meanwhile is still to be found; null where nothing is.
    missed_from = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    rules = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"checked at {self.ended_at}"
