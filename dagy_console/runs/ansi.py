"""Colours that a program writes for a terminal, as classes of the style sheet."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dagy_console.core.visible import visible

_STYLE = re.compile(r"\x1b\[([0-9;]{0,30})m")
# What moves the cursor or clears lines means nothing here.
_OTHER = re.compile(r"\x1b\[[0-?]{0,30}[ -/]{0,5}[@-ln-~]")


def coloured(text: str) -> SafeString:
    """Escaped HTML. Foreground colours and bold are drawn; whatever else a terminal knows is left out."""
    if "\x1b" not in text:
        return escape(visible(text))
    parts = _STYLE.split(_OTHER.sub("", text))
    colour, is_bold = "", False
    html = [_span(parts[0], colour, is_bold)]
    for codes, piece in zip(parts[1::2], parts[2::2], strict=True):
        colour, is_bold = _styled(codes, colour, is_bold)
        html.append(_span(piece, colour, is_bold))
    return mark_safe("".join(html))  # noqa: S308 - each piece was escaped


def _styled(codes: str, colour: str, is_bold: bool) -> tuple[str, bool]:
    for code in codes.split(";"):
        number = int(code or 0)
        if number == 0:
            colour, is_bold = "", False
        elif number == 1:
            is_bold = True
        elif number == 22:
            is_bold = False
        elif 30 <= number <= 37 or 90 <= number <= 97:
            colour = f"ansi-{number % 10}"
        elif number == 39:
            colour = ""
        elif number in (38, 48):  # a colour of 256, or of 16 million: what follows are its parts
            break
    return colour, is_bold


def _span(piece: str, colour: str, is_bold: bool) -> str:
    if not piece:
        return ""
    classes = " ".join(filter(None, [colour, "strong" if is_bold else ""]))
    shown = escape(visible(piece))
    return f'<span class="{classes}">{shown}</span>' if classes else shown
