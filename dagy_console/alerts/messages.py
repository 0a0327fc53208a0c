"""What a channel tells: one message, whatever the channel."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from dagy_console.alerts.models import Severity


class Event(StrEnum):
    """What has become of that which a message is about."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    # It was over before anybody noticed.
    MISSED = "missed"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """`subject` names what it is about, the same from its first message to its last. `at` is RFC 3339. `facts` are
    lines of name and value; `link` leads to the console, `act_link` to where it is acknowledged without signing in."""

    event: Event
    severity: Severity
    subject: str
    title: str
    text: str
    at: str
    link: str
    act_link: str = ""
    org_id: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """As plain JSON; `from_description` takes it back."""
        return asdict(self)

    @classmethod
    def from_description(cls, told: dict[str, Any]) -> "Message":
        return cls(**{**told, "event": Event(told["event"]), "severity": Severity(told["severity"])})
