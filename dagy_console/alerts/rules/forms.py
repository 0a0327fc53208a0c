"""The form of a rule."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet

from dagy_console.alerts import hours, measures
from dagy_console.alerts.channels import selectors as channels
from dagy_console.alerts.models import Channel, NoData, Op, Rotation, Rule, Severity
from dagy_console.alerts.rotations import selectors as rotations
from dagy_console.alerts.rules.terms import LONGEST_NAME, RELATIONS, Terms, terms_of
from dagy_console.alerts.rules.usual import USUAL
from dagy_console.alerts.scope import organizations
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.forms import add_errors

WINDOWS = {
    60: "1 min", 300: "5 min", 900: "15 min", 3_600: "1 h", 21_600: "6 h", 86_400: "1 d", 604_800: "7 d",
    2_678_400: "31 d",
}  # fmt: skip
FOR = {0: "at once", 60: "1 min", 120: "2 min", 300: "5 min", 900: "15 min"}
REPEATS = {0: "never", 900: "every 15 min", 3_600: "every hour", 14_400: "every 4 h", 86_400: "every day"}
_UNITS = {"": 1.0, "%": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_VALUE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|s|min|m|h|d)?")
STEPS = {
    0: "never",
    300: "after 5 min",
    600: "after 10 min",
    900: "after 15 min",
    1_800: "after 30 min",
    3_600: "after 1 h",
}
_STEPS = (1, 2)
_HOURS = ("hours_days", "hours_from", "hours_to", "hours_zone")


class RuleForm(forms.Form):
    """A rule that is there keeps its measure and organization."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="As it is told: Exceptions of the API.")
    org_id = forms.ChoiceField(label="Organization", required=False)
    measure = forms.ChoiceField()
    query = forms.CharField(
        label="Of those that match",
        required=False,
        max_length=2_000,
        help_text="In the language of its list: type:ValueError -path:/health*.",
    )
    group_by = forms.CharField(
        label="An alert for each", required=False, help_text="One or two keys, with commas between: org, type."
    )
    window_seconds = forms.TypedChoiceField(label="In the last", coerce=int)
    op = forms.ChoiceField(label="Fires where it", choices=Op.choices)
    value = forms.CharField(
        label="Than", max_length=20, help_text="A count, a share such as 20%, or a time: 90s, 5m, 2h."
    )
    for_seconds = forms.TypedChoiceField(label="And holds for", coerce=int)
    no_data = forms.ChoiceField(label="Without data", choices=NoData.choices)
    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.WARNING)
    channel_ids = forms.TypedMultipleChoiceField(
        label="Told to",
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: it is shown here alone.",
    )
    rotation_ids = forms.TypedMultipleChoiceField(
        label="And to whoever is on call of", coerce=UUID, required=False, widget=forms.CheckboxSelectMultiple
    )
    repeat_seconds = forms.TypedChoiceField(label="Told again while it fires", coerce=int)
    step1_after = forms.TypedChoiceField(label="Nobody acknowledges it", coerce=int, required=False)
    step1_channels = forms.MultipleChoiceField(label="Then also", required=False, widget=forms.CheckboxSelectMultiple)
    step1_rotations = forms.MultipleChoiceField(
        label="And whoever is on call of", required=False, widget=forms.CheckboxSelectMultiple
    )
    step2_after = forms.TypedChoiceField(label="Still nobody", coerce=int, required=False)
    step2_channels = forms.MultipleChoiceField(label="Then also", required=False, widget=forms.CheckboxSelectMultiple)
    step2_rotations = forms.MultipleChoiceField(
        label="And whoever is on call of", required=False, widget=forms.CheckboxSelectMultiple
    )
    hours_days = forms.MultipleChoiceField(
        label="Only on",
        choices=[(day, day.capitalize()) for day in hours.DAYS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: it always watches. What fires goes on after hours, and nothing new begins.",
    )
    hours_from = forms.CharField(
        label="From", required=False, initial="09:00", widget=forms.TimeInput(attrs={"type": "time"})
    )
    hours_to = forms.CharField(
        label="To", required=False, initial="17:00", widget=forms.TimeInput(attrs={"type": "time"})
    )
    hours_zone = forms.CharField(label="Time zone", required=False, initial="UTC", max_length=100)
    enabled = forms.BooleanField(label="Watch", required=False, initial=True)

    def __init__(
        self, data: Any = None, *, actor: Actor, rule: Rule | None = None, asked: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data)
        fields: dict[str, Any] = self.fields
        kept = terms_of(rule) if rule else None
        for name, known in (("window_seconds", WINDOWS), ("for_seconds", FOR), ("repeat_seconds", REPEATS)):
            fields[name].choices = _choices(known, getattr(kept, name, None))
        fields["channel_ids"].choices = _told(channels.visible_to(actor), rule)
        fields["rotation_ids"].choices = _told(rotations.visible_to(actor), rule)
        for number in _STEPS:
            step = kept.escalation[number - 1] if kept and len(kept.escalation) >= number else None
            fields[f"step{number}_after"].choices = _choices(STEPS, step["after_seconds"] if step else None)
            fields[f"step{number}_after"].initial = step["after_seconds"] if step else 0
            for name in ("channels", "rotations"):
                fields[f"step{number}_{name}"].choices = fields[f"{name[:-1]}_ids"].choices
                fields[f"step{number}_{name}"].initial = step[f"{name[:-1]}_ids"] if step else []
        if rule is None or kept is None:
            fields["org_id"].choices = organizations(actor)
            allowed = [one for one in measures.known() if actor.can_somewhere(one.permission)]
            fields["measure"].choices = [(one.name, one.label) for one in allowed]
            for name, value in ({"window_seconds": 300} | _asked(asked or {})).items():
                fields[name].initial = value
            return
        del fields["org_id"], fields["measure"]
        for name in fields:
            if name not in _HOURS and not name.startswith("step"):
                fields[name].initial = getattr(kept, name)
        fields["value"].initial = f"{kept.value:g}"
        fields["group_by"].initial = ", ".join(kept.group_by)
        for name in RELATIONS:
            fields[name].initial = [str(one) for one in getattr(kept, name)]
        if kept.hours:
            for name in ("days", "from", "to"):
                fields[f"hours_{name}"].initial = kept.hours[name]
            fields["hours_zone"].initial = kept.hours["time_zone"]

    def clean_group_by(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["group_by"].split(",") if name.strip()]

    def clean_value(self) -> float:
        found = _VALUE.fullmatch(self.cleaned_data["value"].strip())
        if found is None:
            raise forms.ValidationError("Write a number, with a unit or without: 50, 20%, 90s, 5m, 2h, 1d.")
        return float(found[1]) * _UNITS[found[2] or ""]

    def terms(self) -> dict[str, Any]:
        """What the services take, without the organization."""
        told = {name: self.cleaned_data[name] for name in self.fields if name in Terms.__dataclass_fields__}
        days = self.cleaned_data["hours_days"]
        times = {"from": self.cleaned_data["hours_from"], "to": self.cleaned_data["hours_to"]}
        zone = self.cleaned_data["hours_zone"]
        hours_told = {"days": days, **times, "time_zone": zone} if days else None
        return told | {"hours": hours_told, "escalation": self._steps()}

    def _steps(self) -> list[dict[str, Any]]:
        told = self.cleaned_data
        return [
            {
                "after_seconds": told[f"step{one}_after"],
                "channel_ids": told[f"step{one}_channels"],
                "rotation_ids": told[f"step{one}_rotations"],
            }
            for one in _STEPS
            if told[f"step{one}_after"]
        ]

    def refuse(self, error: ConsoleError) -> None:
        """What a service said stands at its field; a condition's at the value."""
        add_errors(self, error, names={"condition": "value", "hours": "hours_zone", "escalation": "step1_after"})

    def forgive_name(self) -> None:
        """For a preview: it may still be missing."""
        self.fields["name"].required = False


def _asked(given: Mapping[str, str]) -> dict[str, Any]:
    """Of the address: a usual rule, or the measure and the query of a list."""
    usual = next((one for one in USUAL if one.key == given.get("usual")), None)
    filled = {"name": usual.title, **usual.terms} if usual else {}
    return filled | {name: given[name] for name in ("measure", "query", "group_by", "org_id") if given.get(name)}


def _told(rows: QuerySet[Channel] | QuerySet[Rotation], rule: Rule | None) -> list[tuple[str, str]]:
    """Those that the rule may tell; of one that is to be made any, for its organization is not known yet."""
    return [
        (str(one.pk), f"{one.name} ({one.org_id or 'the platform'})")
        for one in rows.order_by("name")[:200]
        if rule is None or one.org_id in ("", rule.org_id)
    ]


def _choices(known: dict[int, str], kept: int | None) -> list[tuple[int, str]]:
    """Those that are usual, and what the API may have been given besides."""
    more = {} if kept is None or kept in known else {kept: f"{kept} s"}
    return list((known | more).items())
