"""Cutting long texts, and saying how long they are."""


def shorten(text: str, limit: int) -> tuple[str, str]:
    """Cut to `limit` characters; the second value says so in words, or is empty."""
    if len(text) <= limit:
        return text, ""
    return text[:limit], f"cut: the first {limit:,} of {len(text):,} characters"


def size_words(count: int) -> str:
    """Bytes in words: "512 B", "12.4 kB", "3.1 MB"."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:,.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:,.1f} MB"
