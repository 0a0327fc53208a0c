"""Make text of strangers safe to look at: what is invisible or reorders its neighbours becomes a visible token."""

import re

_HIDDEN = re.compile(
    "\r\n?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Replace control, bidirectional and zero-width characters and lone surrogates; CRLF becomes a plain line end."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    found = match[0]
    if found == "\r\n":
        return "\n"
    code = ord(found)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"
