"""Which S3 keys the console touches: those of traces, and nothing else."""

PREFIX = "exceptions/"
MAX_KEY_BYTES = 1024


def problem_with(key: str) -> str | None:
    """Why this cannot be the key of a trace, or None."""
    if not key.isprintable():
        return "The key holds control characters, or what is no text."
    if "://" in key[:10]:
        return f"This is a URL, not a key: take the part that begins with {PREFIX}."
    if not key.startswith(PREFIX) or key == PREFIX:
        return f"The key of a trace begins with {PREFIX}."
    if any(part in {"", ".", ".."} for part in key.split("/")):
        return "The key has an empty part, or . or .. as a part."
    if len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        return f"The key is longer than {MAX_KEY_BYTES:,} bytes."
    return None
