"""Access tokens: `dagy_at_` and 43 random characters; only their SHA-256 is kept."""

import hashlib
import secrets

PREFIX = "dagy_at_"


def new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """256 random bits need no slow hash: nobody can guess them from their SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()
