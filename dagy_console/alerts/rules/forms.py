"""The form of a rule."""

from typing import Any
from uuid import UUID

from django import forms

from dagy_console.alerts import measures
from dagy_console.alerts.channels import selectors as channels
from dagy_console.alerts.models import Op, Rule, Severity
from dagy_console.alerts.rules.terms import LONGEST_NAME, terms_of
from dagy_console.alerts.scope import organizations
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.forms import add_errors

WINDOWS = {60: "1 min", 300: "5 min", 900: "15 min", 3_600: "1 h", 21_600: "6 h", 86_400: "1 d"}
FOR = {0: "at once", 60: "1 min", 120: "2 min", 300: "5 min", 900: "15 min"}
REPEATS = {0: "never", 900: "every 15 min", 3_600: "every hour", 14_400: "every 4 h", 86_400: "every day"}


class RuleForm(forms.Form):
    """A rule that is there keeps its measure and organization."""

    name = forms.CharField(max_length=LONGEST_NAME, help_text="As it is told: Exceptions of the API.")
    org_id = forms.ChoiceField(label="Organization", required=False)
    measure = forms.ChoiceField()
    query = forms.CharField(
        required=False, max_length=2_000, help_text="In the search language: type:ValueError -path:/health*."
    )
    window_seconds = forms.TypedChoiceField(label="In the last", coerce=int)
    op = forms.ChoiceField(label="Fires where it", choices=Op.choices)
    value = forms.FloatField(label="Than", min_value=0)
    group_by = forms.CharField(
        label="An alert for each", required=False, help_text="One or two keys, with commas between: org, type."
    )
    for_seconds = forms.TypedChoiceField(label="And holds for", coerce=int)
    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.WARNING)
    channel_ids = forms.TypedMultipleChoiceField(
        label="Told to",
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: it is shown here alone.",
    )
    repeat_seconds = forms.TypedChoiceField(label="Told again while it fires", coerce=int)
    enabled = forms.BooleanField(label="Watch", required=False, initial=True)

    def __init__(self, data: Any = None, *, actor: Actor, rule: Rule | None = None) -> None:
        super().__init__(data)
        fields: dict[str, Any] = self.fields
        kept = terms_of(rule) if rule else None
        for name, known in (("window_seconds", WINDOWS), ("for_seconds", FOR), ("repeat_seconds", REPEATS)):
            fields[name].choices = _choices(known, getattr(kept, name, None))
        fields["channel_ids"].choices = [
            (str(channel.pk), f"{channel.name} ({channel.org_id or 'the platform'})")
            for channel in channels.visible_to(actor).order_by("name")[:200]
            if rule is None or channel.org_id in ("", rule.org_id)
        ]
        fields["window_seconds"].initial = 300
        if rule is None or kept is None:
            fields["org_id"].choices = organizations(actor)
            allowed = [one for one in measures.known() if actor.can_somewhere(one.permission)]
            fields["measure"].choices = [(one.name, one.label) for one in allowed]
            return
        del fields["org_id"], fields["measure"]
        for name in fields:
            fields[name].initial = getattr(kept, name)
        fields["group_by"].initial = ", ".join(kept.group_by)
        fields["channel_ids"].initial = [str(one) for one in kept.channel_ids]

    def clean_group_by(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["group_by"].split(",") if name.strip()]

    def terms(self) -> dict[str, Any]:
        """What the services take, without the organization."""
        return {name: value for name, value in self.cleaned_data.items() if name != "org_id"}

    def refuse(self, error: ConsoleError) -> None:
        """What a service said stands at its field; a condition's at the value."""
        add_errors(self, error, names={"condition": "value"})


def _choices(known: dict[int, str], kept: int | None) -> list[tuple[int, str]]:
    """Those that are usual, and what the API may have been given besides."""
    more = {} if kept is None or kept in known else {kept: f"{kept} s"}
    return list((known | more).items())
