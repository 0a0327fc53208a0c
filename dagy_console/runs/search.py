"""What flows, deployments and runs are searched by."""

from dagy_console.listing.language import Key, Listing, Query, Term
from dagy_console.runs.models import LOCAL, RunStatus

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
SECRETS = Listing(
    page="secrets:list",
    noun="secret",
    keys=(Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),),
    time="created_at",
    tie="id",
    text="name",
    text_heading="Text in the name",
    example="org:org_123  DB_PASSWORD",
)
SCHEDULES = Listing(
    page="schedules:list",
    noun="schedule",
    keys=(
        Key("flow", "flow__name", "Flow", facet=True, parameter="flow", example="nightly"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("zone", "time_zone", "Time zone", facet=True, parameter="time_zone", example="Europe/Berlin"),
    ),
    time="created_at",
    tie="id",
    text="cron",
    text_heading="Text in the cron expression",
    example="flow:nightly  org:org_123  zone:Europe/Berlin",
)
RUNS = Listing(
    page="runs:list",
    noun="run",
    keys=(
        Key("flow", "flow__name", "Flow", facet=True, parameter="flow", example="nightly"),
        Key("status", "status", "Status", facet=True, parameter="status", values=tuple(RunStatus), example="FAILED"),
        Key("org", "organization_id", "Organization", facet=True, parameter="org_id", example="org_123"),
        Key("error", "error_type", "Error", facet=True, parameter="error", example="TaskTimeoutError"),
        Key("trigger", "trigger", "Trigger", parameter="trigger", example="schedule"),
    ),
    time="created_at",
    tie="id",
    text="reason",
    text_heading="Text in the reason",
    example='flow:nightly  status:FAILED  org:org_123  after:-2h  "no such table"',
    together=(("status", "error_type"),),
    source="runs_run",
)


def failed_of_a_day(*more: Term) -> Query:
    """Runs that failed in the last 24 hours, but for those of somebody's own machine."""
    terms = (Term("status", RunStatus.FAILED), Term("after", "-24h"), Term("trigger", LOCAL, negated=True))
    return RUNS.query(*more, *terms)
