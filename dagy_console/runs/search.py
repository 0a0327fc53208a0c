"""What flows and deployments are searched by."""

from dagy_console.listing.language import Key, Listing

FLOWS = Listing(
    page="flows",
    noun="flow",
    keys=(
        Key("flow", "name", "Flow", parameter="name", example="nightly*"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
    ),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example='org:org_123  flow:nightly*  "free text"',
)
DEPLOYMENTS = Listing(
    page="deployments",
    noun="deployment",
    keys=(
        Key("flow", "flow__name", "Flow", facet=True, parameter="flow", example="nightly"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("by", "created_by", "Deployed by", facet=True, parameter="created_by", example="bob@example.com"),
        Key("sha256", "sha256", "Checksum", parameter="sha256"),
    ),
    time="created_at",
    tie="id",
    text="label",
    text_heading="Text in the label",
    example="flow:nightly  by:bob@example.com  after:-7d",
)
