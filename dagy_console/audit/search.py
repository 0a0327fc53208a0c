"""What audit entries are searched by."""

from dataclasses import replace

from dagy_console.audit.actions import Action, Outcome
from dagy_console.listing.conditions import in_network
from dagy_console.listing.language import Key, Listing

ENTRIES = Listing(
    page="audit:list",
    noun="entry",
    keys=(
        Key("action", "action", "Action", facet=True, parameter="action", values=tuple(Action), example="deletion.*"),
        Key("actor", "actor_email", "Actor", facet=True, counted=True, parameter="actor", example="ann@example.com"),
        Key("impersonator", "impersonator_email", "Impersonator", parameter="impersonator", example="ann@example.com"),
        Key("org", "org_id", "Organization", facet=True, counted=True, parameter="org_id", example="org_123"),
        Key("resource", "resource_type", "Resource", facet=True, parameter="resource_type", example="trace"),
        Key("id", "resource_id", "Resource id", parameter="resource_id"),
        Key("ip", "ip", "Address", parameter="ip", example="203.0.113.0/24", condition=in_network),
        Key("outcome", "outcome", "Outcome", facet=True, parameter="outcome", values=tuple(Outcome), example="denied"),
        Key("request", "request_id", "Request id", parameter="request_id"),
    ),
    time="at",
    tie="id",
    text="search_text",
    text_heading="Text in action, resource, name or reason",
    example='actor:ann@example.com  action:deletion.*  ip:203.0.113.0/24  after:-24h  "free text"',
    together=(("action", "outcome", "resource_type"),),
    source="audit_entry",
)
# What a member may search by is what a member sees: of the platform's staff neither person nor device.
_SHOWN = {"actor_email": "shown_actor", "impersonator_email": "shown_impersonator", "ip": "shown_ip"}
MEMBERS_ENTRIES = replace(
    ENTRIES,
    source="",
    keys=tuple(replace(key, column=_SHOWN.get(key.column, key.column)) for key in ENTRIES.keys),
)
