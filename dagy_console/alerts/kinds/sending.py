"""What came of sending once, and what to do about it."""

from dataclasses import dataclass
from typing import Any

from dagy_console.core import outbound
from dagy_console.core.errors import FieldError, Invalid


@dataclass(frozen=True, slots=True)
class Sending:
    """`status` is None where nobody answered. Where it was not taken, `again` says whether another try may go better,
    and `retry_after` (seconds) how long the other side wants to be left alone."""

    taken: bool
    status: int | None
    answer: str
    again: bool = False
    retry_after: float | None = None


def posted(url: str, body: bytes, headers: dict[str, str]) -> Sending:
    """2xx is taken; 429, 5xx and no answer at all are worth another try; anything else is final, redirects too."""
    try:
        answer = outbound.post(url, body, headers)
    except outbound.Forbidden as error:
        return Sending(False, None, f"Not sent: {error}")
    except outbound.NoAnswer as error:
        return Sending(False, None, str(error), again=True)
    taken = 200 <= answer.status < 300
    again = answer.status in (408, 425, 429) or answer.status >= 500
    said = "A redirect, which is not followed." if 300 <= answer.status < 400 else answer.text
    return Sending(taken, answer.status, said, again and not taken, answer.retry_after)


def text_of(config: dict[str, Any], name: str, *, least: int = 1, most: int = 2_000) -> str:
    """A field of a config. Raises Invalid."""
    value = config.get(name)
    if not isinstance(value, str) or not least <= len(value.strip()) <= most:
        raise Invalid.field(f"config.{name}", f"write a text of {least} to {most:,} characters")
    return value.strip()


def url_of(config: dict[str, Any], name: str) -> str:
    """An address that may be asked. Raises Invalid."""
    url = text_of(config, name)
    try:
        outbound.check_url(url)
    except outbound.Forbidden as error:
        raise Invalid(f"config.{name}: {error}", errors=[FieldError(f"config.{name}", str(error))]) from None
    return url


def only(config: dict[str, Any], *names: str) -> None:
    """Raises Invalid where the config holds anything else."""
    for name in sorted(config.keys() - set(names)):
        raise Invalid.field(f"config.{name}", f"is unknown: this channel takes {', '.join(names)}")


def masked(secret: str) -> str:
    """Its end, for who has to tell two apart."""
    return f"…{secret[-4:]}" if len(secret) > 12 else "…"
