"""Form fields that the console needs and Django lacks."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError

from dagy_console.core.errors import ConsoleError
from dagy_console.core.times import EXPECTED, EXPECTED_AHEAD, parse_ahead, parse_time

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no lone surrogates."""
    return _UNSTORABLE.search(text) is None


def storable(text: str, limit: int) -> str:
    """The text as PostgreSQL takes it, with what it does not take replaced; cut to `limit` characters."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:limit])


FormT = TypeVar("FormT", bound=forms.Form)


def add_errors(form: FormT, error: ConsoleError, *, names: Mapping[str, str] | None = None) -> FormT:
    """The form with what a service said of its fields; what is of no field stands above them.

    `names`: what the service calls a field -> its name in the form, where the two differ.
    """
    for item in error.errors:
        name = (names or {}).get(item.field, item.field)
        form.add_error(name if name in form.fields else None, _sentence(item.message))
    if not error.errors:
        form.add_error(None, error.detail)
    return form


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


class TimeField(forms.CharField):
    """A time, absolute or relative, as core.times reads it; None where empty."""

    default_error_messages = {"invalid": f"Write {EXPECTED}."}

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        try:
            return self.parse(text) if text else None
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None

    def parse(self, text: str) -> datetime:
        return parse_time(text)


class TimeAheadField(TimeField):
    """A time to come, absolute or from now on; None where empty."""

    default_error_messages = {"invalid": f"Write {EXPECTED_AHEAD}."}

    def parse(self, text: str) -> datetime:
        return parse_ahead(text)
