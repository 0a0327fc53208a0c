"""The form that starts a run."""

import json
from typing import Any

from django import forms

from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.permissions import Permission
from dagy_console.runs.selectors import flows_visible_to

_SHOWN = 200


class TriggerForm(forms.Form):
    """A flow that was deployed, and its parameters as a JSON object."""

    flow = forms.ChoiceField()
    parameters = forms.CharField(
        required=False, strip=False, max_length=100_000, help_text='A JSON object, such as {"day": "2026-01-15"}.'
    )

    def __init__(self, data: Any = None, *, actor: Actor, chosen: str = "") -> None:
        super().__init__(data, initial={"flow": chosen, "parameters": "{}"})
        flows = flows_visible_to(actor, Permission.RUNS_TRIGGER).exclude(latest=None).order_by("name", "organization")
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

    def clean_parameters(self) -> dict[str, Any]:
        text = self.cleaned_data["parameters"].strip() or "{}"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError('Write a JSON object, such as {"day": "2026-01-15"}.')
        return found
