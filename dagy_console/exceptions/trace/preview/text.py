"""Cutting long texts, and saying how long they are."""


def shorten(text: str, limit: int) -> tuple[str, str]:
    """Cut to `limit` characters; the second value says so in words, or is empty."""
    if len(text) <= limit:
        return text, ""
    return text[:limit], f"cut: the first {limit:,} of {len(text):,} characters"
