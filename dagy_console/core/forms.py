"""Form fields that the console needs and Django lacks."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dagy_console.core.errors import FieldError, Invalid
from dagy_console.core.times import EXPECTED, parse_time


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class CleanCharField(forms.CharField):
    """Text for the database: lone surrogates are refused, as Django refuses NUL by itself."""

    def to_python(self, value: Any) -> str:
        text = super().to_python(value) or ""
        if not is_storable(text):
            raise ValidationError("This holds characters that are no valid text.")
        return text


class TimeField(forms.CharField):
    """A time, absolute or relative, as core.times reads it; None where empty."""

    default_error_messages = {"invalid": f"Write {EXPECTED}."}

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        try:
            return parse_time(text) if text else None
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


def invalid(form: forms.Form) -> Invalid:
    """The form's errors as the error that the API answers with."""
    errors = [FieldError(name, str(message)) for name, messages in form.errors.items() for message in messages]
    return Invalid("; ".join(f"{error.field}: {error.message}" for error in errors), errors=errors)
