"""The lists of alerts: what can be searched for, and how."""

from dagy_console.alerts.models import ChannelType, DeliveryStatus
from dagy_console.listing.language import Key, Listing

CHANNELS = Listing(
    page="channels:list",
    noun="channel",
    keys=(
        Key("type", "channel_type", "Type", facet=True, parameter="channel_type", values=tuple(ChannelType.values)),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example="type:slack  org:org_123  on-call",
)
DELIVERIES = Listing(
    page="deliveries:list",
    noun="delivery",
    keys=(
        Key("status", "status", "Status", facet=True, parameter="status", values=tuple(DeliveryStatus.values)),
        Key("channel", "channel__name", "Channel", facet=True, parameter="channel", example="on-call"),
        Key(
            "type",
            "channel__channel_type",
            "Type",
            facet=True,
            parameter="channel_type",
            values=tuple(ChannelType.values),
        ),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("key", "key", "Key", parameter="key"),
    ),
    time="created_at",
    tie="id",
    text="subject",
    text_heading="Text in the subject",
    example="status:dead  channel:on-call  after:-1d",
)
