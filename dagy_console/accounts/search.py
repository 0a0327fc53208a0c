"""What the lists of accounts are searched by."""

from django.db.models import Q

from dagy_console.accounts.models import Membership
from dagy_console.core.permissions import Role
from dagy_console.listing.conditions import in_network
from dagy_console.listing.language import Key, Listing


def _member_of(column: str, value: str) -> Q:
    """The sessions of an organization's members; each once, in however many they are."""
    if "*" in value:
        raise ValueError("write the whole id of an organization")
    return Q(**{f"{column}__in": Membership.objects.filter(organization=value).values("user")})


MEMBERS = Listing(
    page="accounts:team",
    noun="member",
    keys=(
        Key("user", "email", "Person", parameter="user", example="bob@example.com"),
        Key("role", "role", "Role", facet=True, parameter="role", values=tuple(Role), example="owner"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example='role:owner  user:bob*  "free text"',
)
SESSIONS = Listing(
    page="accounts:sessions",
    noun="session",
    keys=(
        Key("user", "email", "Person", facet=True, counted=True, parameter="user", example="bob@example.com"),
        Key("org", "user", "Organization", parameter="org_id", example="org_123", condition=_member_of),
        Key("ip", "ip", "Address", parameter="ip", example="203.0.113.0/24", condition=in_network),
    ),
    time="created_at",
    tie="id",
    text="user_agent",
    text_heading="Text in the device",
    example='user:bob@example.com  org:org_123  ip:203.0.113.0/24  "Firefox"',
)
IMPERSONATIONS = Listing(
    page="accounts:impersonations",
    noun="impersonation",
    keys=(
        Key("by", "by", "Super admin", facet=True, parameter="impersonator", example="ann@example.com"),
        Key("user", "whom", "Person", facet=True, parameter="user", example="bob@example.com"),
        Key("state", "state", "State", facet=True, parameter="state", values=("active", "ended"), example="active"),
    ),
    time="started_at",
    tie="id",
    text="reason",
    text_heading="Text in the reason",
    example='state:active  by:ann@example.com  after:-7d  "free text"',
)
KEY_STATES = ("active", "expired", "revoked")
API_KEYS = Listing(
    page="api-keys:list",
    noun="API key",
    keys=(
        Key("state", "state", "State", facet=True, parameter="state", values=KEY_STATES, example="active"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("by", "created_by__email", "Creator", facet=True, parameter="created_by", example="ann@example.com"),
        Key("four", "last_four", "Last four characters", parameter="last_four"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example='state:active  org:org_123  by:ann@example.com  four:a1B2  "deploy"',
)
