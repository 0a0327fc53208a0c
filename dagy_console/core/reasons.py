"""Why somebody does what reaches far: asked for, kept on record, and read in the post-mortem."""

from dagy_console.core.errors import Invalid
from dagy_console.core.forms import is_storable
from dagy_console.core.words import number

LEAST, MOST = 5, 2_000


def checked(reason: str, *, field: str = "reason") -> str:
    """The reason, trimmed. Raises Invalid where it says nothing, or too much."""
    text = reason.strip()
    if len(text) < LEAST:
        raise Invalid.field(
            field, f"say why, in {LEAST} characters or more: it is kept on record. Nothing was changed."
        )
    return checked_text(text, field=field)


def checked_text(text: str, *, field: str) -> str:
    """A text that may be empty. Raises Invalid where it is too long, or no valid text."""
    text = text.strip()
    if len(text) > MOST:
        raise Invalid.field(field, f"{number(len(text))} characters; at most {number(MOST)}. Nothing was changed.")
    if not is_storable(text):
        raise Invalid.field(field, "holds characters that are no valid text. Nothing was changed.")
    return text
