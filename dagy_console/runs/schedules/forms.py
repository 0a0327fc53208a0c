"""The form of a schedule."""

from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils import timezone

from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.permissions import Permission
from dagy_console.runs.forms import FlowForm
from dagy_console.runs.models import Schedule
from dagy_console.runs.schedules import cron


class ScheduleForm(FlowForm):
    """A flow, when it runs, and with which parameters. Of a schedule that is there the flow stays."""

    permission = Permission.SCHEDULES_WRITE
    cron = forms.CharField(max_length=100, label="Cron", help_text="Minute, hour, day, month, weekday: 30 6 * * 1-5.")
    time_zone = forms.ChoiceField(
        label="Time zone", choices=lambda: [(name, name) for name in ["UTC", *sorted(available_timezones() - {"UTC"})]]
    )
    catch_up = forms.BooleanField(required=False, label="Make up for times that were missed")

    field_order = ("flow", "cron", "time_zone", "parameters", "catch_up")

    def __init__(self, data: Any = None, *, actor: Actor, schedule: Schedule | None = None, chosen: str = "") -> None:
        super().__init__(data, actor=actor, chosen=chosen, is_of_a_flow=schedule is not None)
        self.fields["cron"].initial, self.fields["time_zone"].initial = "0 6 * * *", "UTC"

    def clean(self) -> None:
        given = self.cleaned_data
        if "cron" in given and "time_zone" in given:
            try:
                cron.check(given["cron"], given["time_zone"])
            except Invalid as error:
                add_errors(self, error)

    def next_times(self) -> list[datetime]:
        """When it would run next; none while cron or time zone are wrong."""
        given = self.cleaned_data if self.is_bound else {name: self[name].value() for name in ("cron", "time_zone")}
        if self.is_bound and ("cron" in self.errors or "time_zone" in self.errors):
            return []
        return cron.times_after(given["cron"], given["time_zone"], timezone.now(), count=cron.SHOWN_TIMES)
