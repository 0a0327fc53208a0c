"""What stops the embedded servers, said in one line."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The message is one line for a person: what is wrong, and what to do. The command ends with exit code 1."""
