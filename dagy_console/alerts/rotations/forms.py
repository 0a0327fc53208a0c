"""The forms of a rotation, and of an override."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from dagy_console.alerts.channels import selectors as channels
from dagy_console.alerts.models import Channel, Rotation
from dagy_console.alerts.rotations.terms import LONGEST_NAME, LONGEST_REASON, MOST_TURNS
from dagy_console.alerts.scope import organizations
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.forms import TimeAheadField, add_errors

# How many turns a new one has room for, and how many more one that is there.
ROOM, MORE = 6, 3
# As a browser's field for a date and a time writes it.
_LOCAL = "%Y-%m-%dT%H:%M"
_TURN = re.compile(r"turn_(\d{1,2})")


class RotationForm(forms.Form):
    """Its turns are a field each, `turn_1` and so on; one that is left empty is no turn. One that is there keeps its
    organization."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="As rules name it: Night, Weekend.")
    org_id = forms.ChoiceField(label="Organization", required=False)
    time_zone = forms.CharField(label="Time zone", max_length=100, initial="UTC", help_text="Europe/Berlin, say.")
    starts_at = forms.CharField(
        label="The first turn begins",
        max_length=20,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="In that time zone. It hands over each week at this weekday and time.",
    )

    def __init__(self, data: Any = None, *, actor: Actor, rotation: Rotation | None = None) -> None:
        super().__init__(data)
        fields: dict[str, Any] = self.fields
        kept = rotation.channel_ids if rotation else []
        known = channels.visible_to(actor).order_by("name")
        choices = _of_rotation(known, rotation) if rotation else _of_any(known)
        for number in range(1, _room(len(kept), data or {}) + 1):
            fields[f"turn_{number}"] = forms.TypedChoiceField(
                label=f"Turn {number}", coerce=UUID, required=number == 1, choices=[("", "nobody"), *choices]
            )
        if rotation is None:
            fields["org_id"].choices = organizations(actor)
            fields["starts_at"].initial = _next_monday().strftime(_LOCAL)
            return
        del fields["org_id"]
        for number, channel_id in enumerate(kept, 1):
            fields[f"turn_{number}"].initial = channel_id
        fields["name"].initial, fields["time_zone"].initial = rotation.name, rotation.time_zone
        there = rotation.starts_at.astimezone(ZoneInfo(rotation.time_zone))
        fields["starts_at"].initial = there.strftime(_LOCAL)

    @property
    def turns(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if _TURN.fullmatch(name)]

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"].strip()
        if zone not in available_timezones():
            raise forms.ValidationError("Write one such as Europe/Berlin or UTC.")
        return zone

    def clean_starts_at(self) -> datetime:
        """Without its zone, which `terms` adds."""
        try:
            return datetime.strptime(self.cleaned_data["starts_at"].strip(), _LOCAL)
        except ValueError:
            raise forms.ValidationError("Write a time such as 2026-01-05T09:00.") from None

    def terms(self) -> dict[str, Any]:
        told = self.cleaned_data
        chosen = [told[name] for name in self.fields if _TURN.fullmatch(name)]
        return {
            "name": told["name"],
            "channel_ids": [one for one in chosen if one],
            "time_zone": told["time_zone"],
            "starts_at": told["starts_at"].replace(tzinfo=ZoneInfo(told["time_zone"])),
        }

    def changes(self) -> dict[str, Any]:
        """The terms; a beginning that nobody touched is none, for with one the turns are counted from there."""
        terms = self.terms()
        if not {"starts_at", "time_zone"} & set(self.changed_data):
            del terms["starts_at"]
        return terms

    def refuse(self, error: ConsoleError) -> None:
        """What a service said stands at its field; of the turns at the first."""
        add_errors(self, error, names={"channel_ids": "turn_1"})


class OverrideForm(forms.Form):
    """Of one rotation: with the channels of its organization."""

    channel_id = forms.TypedChoiceField(label="Who", coerce=UUID)
    until = TimeAheadField(
        max_length=50, initial="1d", help_text="From now on (8h, 1d, 2w), or a time: 2026-01-15T10:30:00Z."
    )
    starts_at = TimeAheadField(label="From", required=False, max_length=50, help_text="Likewise. Empty: now.")
    reason = forms.CharField(max_length=LONGEST_REASON, required=False)

    def __init__(self, data: Any = None, *, actor: Actor, rotation: Rotation) -> None:
        super().__init__(data)
        who: Any = self.fields["channel_id"]
        who.choices = _of_rotation(channels.visible_to(actor).order_by("name"), rotation)

    def refuse(self, error: ConsoleError) -> None:
        """What a service said stands at its field."""
        add_errors(self, error)


def _of_rotation(known: QuerySet[Channel], rotation: Rotation) -> list[tuple[str, str]]:
    return [(str(channel.pk), channel.name) for channel in known.filter(organization=rotation.organization_id)]


def _of_any(known: QuerySet[Channel]) -> list[tuple[str, str]]:
    """Of one that is to be made: its organization is not known yet."""
    return [(str(channel.pk), f"{channel.name} ({channel.org_id or 'the platform'})") for channel in known[:200]]


def _room(kept: int, data: Any) -> int:
    """Fields for the turns that there are, and more; or for those that were sent, where that is more still."""
    sent = [int(found[1]) for found in map(_TURN.fullmatch, data) if found]
    return min(MOST_TURNS, max([ROOM, kept + MORE, *sent]))


def _next_monday() -> datetime:
    today = timezone.now().replace(hour=9, minute=0)
    return today + timedelta(days=7 - today.weekday())
