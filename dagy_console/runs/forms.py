"""The form that starts a run, and the one that says which lines of a log are read."""

import json
from typing import Any

from django import forms

from dagy.records import LEVELS
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError, FieldError, Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import BadQuery, Query
from dagy_console.runs import logs
from dagy_console.runs.models import Flow, Run
from dagy_console.runs.search import RUNS
from dagy_console.runs.selectors import flows_visible_to

_SHOWN = 200


class FlowForm(forms.Form):
    """A flow that was deployed, and its parameters as a JSON object."""

    permission = Permission.RUNS_TRIGGER
    flow = forms.ChoiceField()
    parameters = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        required=False,
        strip=False,
        max_length=100_000,
        help_text='A JSON object, such as {"day": "2026-01-15"}.',
    )

    def __init__(self, data: Any = None, *, actor: Actor, chosen: str = "", is_of_a_flow: bool = False) -> None:
        super().__init__(data, initial={"flow": chosen, "parameters": "{}"})
        self.found: dict[str, Flow] = {}
        if is_of_a_flow:
            del self.fields["flow"]
            return
        flows = flows_visible_to(actor, self.permission).exclude(latest=None).order_by("name", "organization")
        self.found = {str(flow.pk): flow for flow in flows[:_SHOWN]}
        choices = [(key, f"{flow.name} · {flow.organization_id}") for key, flow in self.found.items()]
        self.fields["flow"].choices = choices  # type: ignore[attr-defined]

    def refuse(self, error: ConsoleError) -> None:
        """What the service said, beside what it is about."""
        for item in error.errors:
            name = item.field.removeprefix("parameters.")
            self.add_error("parameters" if name != item.field else None, f"{name} {item.message}")
        if not error.errors:
            self.add_error(None, error.detail)

    def chosen_flow(self) -> Flow:
        return self.found[self.cleaned_data["flow"]]

    def show(self, *, parameters: dict[str, Any], **values: Any) -> None:
        """Begin with what is there."""
        self.initial = {
            **self.initial,
            **values,
            "parameters": json.dumps(parameters, ensure_ascii=False, indent=2),
        }

    def clean_parameters(self) -> dict[str, Any]:
        text = self.cleaned_data["parameters"].strip() or "{}"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('Write a JSON object, such as {"day": "2026-01-15"}.')
        return found


class TriggerForm(FlowForm):
    pass


class ManyForm(forms.Form):
    """A search whose runs are cancelled or started again, and how many of them the person has seen."""

    q = forms.CharField(required=False, max_length=2_000)
    expected_count = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def clean_q(self) -> Query:
        return _parsed(self.cleaned_data["q"])


def _parsed(text: str) -> Query:
    try:
        return RUNS.parse(text)
    except BadQuery as error:
        raise forms.ValidationError(f"The search can't be read: {error.message}.") from None


class LogForm(forms.Form):
    """The address of a place in a log: which lines, and where among them."""

    task = forms.CharField(required=False, max_length=100)
    level = forms.ChoiceField(required=False, choices=[("", "All levels"), *((level, level) for level in LEVELS)])
    q = forms.CharField(required=False, max_length=200)
    line = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    after = forms.IntegerField(required=False, min_value=0, max_value=2**62)
    before = forms.IntegerField(required=False, min_value=0, max_value=2**62)
    follow = forms.IntegerField(required=False, min_value=0, max_value=2**62)
    query: logs.LogQuery

    def clean(self) -> None:
        given = self.cleaned_data
        try:
            self.query = logs.asked(given.get("task"), given.get("level"), given.get("q"))
        except Invalid as error:
            add_errors(self, error)

    def window(self, run: Run, limit: int) -> logs.Window:
        """The lines at that place. Raises Invalid."""
        line, after, before = (self.cleaned_data[name] for name in ("line", "after", "before"))
        if line is not None:
            return logs.around(run, self.query, line, limit)
        if after is not None:
            return logs.after(run, self.query, after, limit)
        return logs.before(run, self.query, before, limit)

    def errors_by_field(self) -> list[FieldError]:
        return [FieldError(name, " ".join(map(str, said))) for name, said in self.errors.items()]
