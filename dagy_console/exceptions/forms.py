"""What the pages and the API take: searches, and the confirmation of a deletion."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dagy_console.core.errors import Invalid
from dagy_console.core.forms import TimeField, is_storable
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.search import KEYS, TEXT, BadQuery, TraceQuery, parse
from dagy_console.exceptions.search import Term as SearchTerm
from dagy_console.exceptions.selectors import DeletionPlan

# The one-field-each form beside the search box: its field names are the language's keys, and `text`.
FILTERS = (*(key for key in KEYS if key != "key"), TEXT)
# The API's parameters and the keys of the language that they stand for.
API_FIELDS = {
    "org_id": "org",
    "exception_type": "type",
    "http_method": "method",
    "http_path": "path",
    "request_id": "request",
    "group": "group",
    "from": "after",
    "to": "before",
}


def query_from_fields(text: str, fields: Mapping[str, str]) -> TraceQuery:
    """The search `text`, narrowed by single fields (key of the language -> value). Raises BadQuery."""
    terms = [SearchTerm(key, value.strip()).text for key, value in fields.items() if value.strip()]
    return parse(" ".join([text, *terms]))


def api_query(text: str, fields: Mapping[str, str]) -> TraceQuery:
    """The same for the API's parameter names. Raises Invalid that names the parameter."""
    try:
        parse(text)
    except BadQuery as error:
        raise Invalid.field("q", f"{error.message} (at character {error.position + 1})") from None
    for name, value in fields.items():
        try:
            query_from_fields("", {API_FIELDS[name]: value})
        except BadQuery as error:
            raise Invalid.field(name, error.message) from None
    return query_from_fields(text, {API_FIELDS[name]: value for name, value in fields.items()})


class DeletionForm(forms.Form):
    """The confirmation page's form: what was shown, and the count as the person typed it."""

    q = forms.CharField(max_length=4_000, required=False, widget=forms.HiddenInput)
    keys_json = forms.CharField(required=False, widget=forms.HiddenInput)
    cutoff = TimeField(widget=forms.HiddenInput)
    expected_count = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    typed_count = forms.CharField(max_length=20, error_messages={"required": "Type the number of traces to confirm."})

    @classmethod
    def of(cls, plan: DeletionPlan) -> "DeletionForm":
        return cls(
            initial={
                "q": plan.query_text,
                "keys_json": json.dumps(list(plan.keys)) if plan.keys else "",
                "cutoff": to_rfc3339(plan.cutoff),
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
        return {"q", "keys_json", "cutoff", "expected_count"} <= self.cleaned_data.keys()

    @property
    def query(self) -> TraceQuery:
        query: TraceQuery = self.cleaned_data["q"]
        return query

    @property
    def keys(self) -> list[str]:
        keys: list[str] = self.cleaned_data["keys_json"]
        return keys

    @property
    def cutoff_time(self) -> datetime:
        cutoff: datetime = self.cleaned_data["cutoff"]
        return cutoff
