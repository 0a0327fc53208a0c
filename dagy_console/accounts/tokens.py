"""Tokens: a prefix that says what they are, and 43 random characters; only their SHA-256 is kept."""

import hashlib
import secrets

ACCESS_TOKEN = "dagy_at_"
IMPERSONATION = "dagy_im_"
# Of the links in mails; it opens no door at the API.
INVITATION = "dagy_in_"


def new_token(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """256 random bits need no slow hash: nobody can guess them from their SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()
