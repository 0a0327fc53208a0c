"""Cutting long texts, and saying how long they are; bytes that are no text."""

# Of the first bytes, more than one in so many that no text has.
LOOKED_AT, ONE_IN = 4_096, 10
_NO_TEXT = bytes([*range(9), 11, 12, *range(14, 32), 127])


def shorten(text: str, limit: int) -> tuple[str, str]:
    """Cut to `limit` characters; the second value says so in words, or is empty."""
    if len(text) <= limit:
        return text, ""
    return text[:limit], f"cut: the first {limit:,} of {len(text):,} characters"


def is_binary(data: bytes) -> bool:
    """Whether this is no text in UTF-8, by its beginning."""
    head = data[:LOOKED_AT]
    controls = len(head) - len(head.translate(None, _NO_TEXT))
    broken = head.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    return (controls + broken) * ONE_IN > len(head)


def hex_dump(data: bytes) -> str:
    """As `hexdump -C` writes it: offset, sixteen bytes, and what of them is text."""
    return "\n".join(
        f"{start:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  |{''.join(map(_printable, row))}|"
        for start in range(0, len(data), 16)
        for row in [data[start : start + 16]]
    )


def _printable(byte: int) -> str:
    return chr(byte) if 32 <= byte < 127 else "."
