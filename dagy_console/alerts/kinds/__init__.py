"""The kinds of channels: what their config must be, what of it is shown, and how one sends."""

from typing import Any, Protocol

from dagy_console.alerts.kinds import email, pagerduty, slack, webhook
from dagy_console.alerts.kinds.sending import Sending
from dagy_console.alerts.messages import Message
from dagy_console.alerts.models import ChannelType


class Kind(Protocol):
    """A module each."""

    def checked(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config as it is kept. Raises Invalid that names the field."""

    def masked(self, config: dict[str, Any]) -> dict[str, Any]:
        """What may be shown of it."""

    def send(self, config: dict[str, Any], message: Message, *, key: str) -> Sending:
        """Tries once. `key` is the same however often it is tried."""


KINDS: dict[str, Kind] = {
    ChannelType.SLACK: slack,
    ChannelType.EMAIL: email,
    ChannelType.WEBHOOK: webhook,
    ChannelType.PAGERDUTY: pagerduty,
}
