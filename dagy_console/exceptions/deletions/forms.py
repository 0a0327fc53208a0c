"""The confirmation of a deletion: what was shown, and the count as the person typed it."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dagy_console.core.database import Horizon
from dagy_console.core.forms import TimeField, is_storable
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.deletions.selectors import DeletionPlan
from dagy_console.exceptions.search import TraceQuery, parse
from dagy_console.listing.language import BadQuery


class DeletionForm(forms.Form):
    """The confirmation page's form: what was shown, and the count as the person typed it."""

    q = forms.CharField(max_length=4_000, required=False, widget=forms.HiddenInput)
    keys_json = forms.CharField(required=False, widget=forms.HiddenInput)
    cutoff = TimeField(widget=forms.HiddenInput)
    snapshot = forms.CharField(max_length=20_000, widget=forms.HiddenInput)
    expected_count = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    typed_count = forms.CharField(max_length=20, error_messages={"required": "Type the number of traces to confirm."})

    @classmethod
    def of(cls, plan: DeletionPlan) -> "DeletionForm":
        return cls(
            initial={
                "q": plan.query_text,
                "keys_json": json.dumps(list(plan.keys)) if plan.keys else "",
                "cutoff": to_rfc3339(plan.horizon.at),
                "snapshot": plan.horizon.snapshot,
                "expected_count": plan.count,
            }
        )

    def clean_q(self) -> TraceQuery:
        try:
            return parse(self.cleaned_data["q"])
        except BadQuery as error:
            raise ValidationError(error.message) from None

    def clean_keys_json(self) -> list[str]:
        try:
            keys = json.loads(self.cleaned_data["keys_json"] or "[]")
        except (ValueError, RecursionError):
            keys = None
        if not isinstance(keys, list) or not all(isinstance(key, str) and is_storable(key) for key in keys):
            raise ValidationError("The selection is damaged: go back and select again.")
        return keys

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        typed = data.get("typed_count", "").replace(",", "").replace(" ", "")
        if typed and "expected_count" in data and typed != str(data["expected_count"]):
            self.add_error("typed_count", f"This does not match: type {data['expected_count']}.")
        return data

    @property
    def is_intact(self) -> bool:
        """Whether what the page itself had filled in came back as it was."""
        return {"q", "keys_json", "cutoff", "snapshot", "expected_count"} <= self.cleaned_data.keys()

    @property
    def query(self) -> TraceQuery:
        query: TraceQuery = self.cleaned_data["q"]
        return query

    @property
    def keys(self) -> list[str]:
        keys: list[str] = self.cleaned_data["keys_json"]
        return keys

    @property
    def horizon(self) -> Horizon:
        return Horizon(self.cleaned_data["cutoff"], self.cleaned_data["snapshot"])
