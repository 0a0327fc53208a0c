"""The lists of alerts: what can be searched for, and how."""

from dagy_console.alerts.models import AlertStatus, ChannelType, DeliveryStatus, Severity
from dagy_console.listing.language import Key, Listing

CHANNELS = Listing(
    page="channels:list",
    noun="channel",
    keys=(
        Key("type", "channel_type", "Type", facet=True, parameter="channel_type", values=tuple(ChannelType.values)),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("channel", "name", parameter="name"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example="type:slack  org:org_123  on-call",
)
RULES = Listing(
    page="rules:list",
    noun="rule",
    keys=(
        Key("measure", "measure", "Measure", facet=True, parameter="measure", example="exception_count"),
        Key("severity", "severity", "Severity", facet=True, parameter="severity", values=tuple(Severity.values)),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example="measure:exception_count  severity:critical",
)
SILENCES = Listing(
    page="silences:list",
    noun="silence",
    keys=(
        Key("by", "created_by", "Made by", facet=True, parameter="created_by", example="ann@example.com"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="text",
    text_heading="Text in what it silences",
    example="by:ann@example.com  after:-7d",
)
ROTATIONS = Listing(
    page="rotations:list",
    noun="rotation",
    keys=(
        Key("zone", "time_zone", "Time zone", facet=True, parameter="time_zone", example="Europe/Berlin"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example="org:org_123  night",
)
ALERTS = Listing(
    page="alerts:list",
    noun="alert",
    keys=(
        Key("status", "status", "Status", facet=True, parameter="status", values=tuple(AlertStatus.values)),
        Key("rule", "rule__name", "Rule", facet=True, parameter="rule", example="Exceptions*"),
        Key("severity", "rule__severity", "Severity", facet=True, parameter="severity", values=tuple(Severity.values)),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="since",
    tie="id",
    text="label",
    text_heading="Text in the dimensions",
    example="status:firing  severity:critical  after:-1d",
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
