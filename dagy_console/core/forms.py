"""Form fields that the console needs and Django lacks."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dagy_console.core.times import EXPECTED, parse_time


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class TimeField(forms.CharField):
    """A time, absolute or relative, as core.times reads it; None where empty."""

    default_error_messages = {"invalid": f"Write {EXPECTED}."}

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        try:
            return parse_time(text) if text else None
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None
