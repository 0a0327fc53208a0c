"""The forms of channels: the fields of all kinds, of which each uses its own."""

from typing import Any

from django import forms

from dagy_console.alerts.models import Channel, ChannelType
from dagy_console.alerts.scope import organizations
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.forms import add_errors

# Type -> its fields in the form, and what they are called in the config.
FIELDS = {
    ChannelType.SLACK: {"webhook_url": "webhook_url"},
    ChannelType.EMAIL: {"to": "to"},
    ChannelType.WEBHOOK: {"url": "url"},
    ChannelType.PAGERDUTY: {"routing_key": "routing_key"},
}
_SECRET = {"autocomplete": "off", "spellcheck": "false"}


class ChannelForm(forms.Form):
    """A channel that is there keeps its type and organization, and what is secret of it where its field stays empty."""

    name = forms.CharField(max_length=100, help_text="As people call it: On-call, Ops mailbox.")
    channel_type = forms.ChoiceField(label="Type", choices=ChannelType.choices)
    org_id = forms.ChoiceField(label="Organization", required=False)
    webhook_url = forms.CharField(
        label="Slack: webhook URL",
        required=False,
        widget=forms.TextInput(attrs=_SECRET),
        help_text="Of an incoming webhook: https://hooks.slack.com/services/…",
    )
    to = forms.CharField(
        label="Email: addresses",
        required=False,
        help_text="One or several, with commas between. Who does not sign in here is asked first, by a mail.",
    )
    url = forms.CharField(
        label="Webhook: URL", required=False, help_text="Gets JSON, signed after the Standard Webhooks specification."
    )
    routing_key = forms.CharField(
        label="PagerDuty: routing key",
        required=False,
        widget=forms.TextInput(attrs=_SECRET),
        help_text="Of an Events API v2 integration: 32 letters and digits.",
    )
    is_last_resort = forms.BooleanField(label="Last resort: told what no other channel could be told", required=False)

    def __init__(self, data: Any = None, *, actor: Actor, channel: Channel | None = None) -> None:
        super().__init__(data)
        if channel is None:
            self.fields["org_id"].choices = organizations(actor)  # type: ignore[attr-defined]
            return
        for name in ("channel_type", "org_id", *(set(_all_fields()) - set(FIELDS[ChannelType(channel.channel_type)]))):
            del self.fields[name]
        self.fields["name"].initial = channel.name
        self.fields["is_last_resort"].initial = channel.is_last_resort
        for name, kept in FIELDS[ChannelType(channel.channel_type)].items():
            self.fields[name].help_text = "Left empty, it stays as it is."
            if kept in ("to", "url"):
                value = channel.config.get(kept, "")
                self.fields[name].initial = ", ".join(value) if isinstance(value, list) else value

    def config(self, channel_type: str) -> dict[str, Any]:
        """What was written into the fields of the type; empty ones are left out."""
        told = {
            kept: self.cleaned_data.get(name, "").strip() for name, kept in FIELDS[ChannelType(channel_type)].items()
        }
        found: dict[str, Any] = {name: value for name, value in told.items() if value}
        if "to" in found:
            found["to"] = [address.strip() for address in found["to"].split(",") if address.strip()]
        return found

    def refuse(self, error: ConsoleError) -> None:
        """What a service said of the config stands at the field that it was written into."""
        add_errors(self, error, names={f"config.{name}": name for name in _all_fields()})


def _all_fields() -> list[str]:
    return [name for fields in FIELDS.values() for name in fields]
