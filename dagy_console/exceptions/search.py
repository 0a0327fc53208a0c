"""What traces, their groups and their deletions are searched by."""

from collections.abc import Sequence

from django.db.models import Q

from dagy.capture.keys import NO_ORG
from dagy_console.core.jobs import JobState
from dagy_console.core.times import parse_time
from dagy_console.exceptions.models import GroupOrganization, GroupStatus, TraceGroup
from dagy_console.listing.language import Key, Listing, Query, one_of


def titles_of(fingerprints: Sequence[str]) -> dict[str, str]:
    """Fingerprint -> what its group is called."""
    return dict(TraceGroup.objects.filter(fingerprint__in=fingerprints).values_list("fingerprint", "title"))


def _of_status(column: str, value: str) -> Q:
    status = one_of(GroupStatus.values, value)
    decided = TraceGroup.objects.exclude(status=GroupStatus.OPEN).order_by().values("fingerprint")
    # Few groups are not open.
    if status == GroupStatus.OPEN:
        return ~Q(**{f"{column}__in": decided})
    return Q(**{f"{column}__in": decided.filter(status=status)})


def _since(column: str, value: str) -> Q:
    return Q(**{f"{column}__gte": parse_time(value)})


def _of_organization(column: str, value: str) -> Q:
    named = Key("org", "org_id").match(value)
    return Q(**{f"{column}__in": GroupOrganization.objects.filter(named).order_by().values("fingerprint")})


TRACES = Listing(
    page="exceptions:list",
    noun="trace",
    keys=(
        Key("type", "exception_type", "Type", facet=True, parameter="exception_type", example="ValueError"),
        Key(
            "org",
            "org_id",
            "Organization",
            facet=True,
            counted=True,
            parameter="org_id",
            example="org_123",
            labels=lambda _: {NO_ORG: "none"},
        ),
        Key("method", "http_method", "Method", facet=True, parameter="http_method", example="POST"),
        Key("path", "http_path", "Path", facet=True, parameter="http_path", example="/runs*"),
        Key("request", "request_id", "Request id", parameter="request_id"),
        Key("function", "function_name", "Function", facet=True, example="dagy-api-prod"),
        Key("run", "run_id", "Run", parameter="run", example="0b7c3f0e-…"),
        Key("group", "fingerprint", "Group", facet=True, counted=True, parameter="group", labels=titles_of),
        Key("status", "fingerprint", "Status", values=tuple(GroupStatus.values), example="open", condition=_of_status),
        Key("key", "key"),
    ),
    time="timestamp",
    tie="key",
    text="search_text",
    text_heading="Text in type, message or path",
    example='type:ValueError  org:org_123  path:/runs*  -method:GET  after:-24h  "free text"',
    # 4 sets instead of 6 take 0.85 of the time over 100,000 rows.
    together=(("exception_type", "fingerprint"), ("http_method", "function_name")),
    source="trace",
)
GROUPS = Listing(
    page="exceptions:groups",
    noun="group",
    keys=(
        Key("status", "status", "Status", facet=True, parameter="status", values=tuple(GroupStatus.values)),
        Key("type", "exception_type", "Type", facet=True, parameter="exception_type", example="ValueError"),
        Key("org", "fingerprint", "Organization", parameter="org_id", example="org_123", condition=_of_organization),
        Key("first", "first_seen", "First seen since", parameter="first", example="-24h", condition=_since),
        Key("group", "fingerprint", "Fingerprint", parameter="group"),
    ),
    time="last_seen",
    tie="fingerprint",
    text="title",
    text_heading="Text in the title",
    example='status:open  type:ValueError  org:org_123  sort:new  after:-24h  "free text"',
    sorts={"last_seen": "last_seen", "count": "count", "new": "first_seen", "spreading": "spreading"},
)
DELETIONS = Listing(
    page="exceptions:deletions",
    noun="deletion",
    keys=(
        Key("state", "state", "State", facet=True, values=tuple(JobState), example="failed"),
        Key("by", "asked_by", "Person", facet=True, example="ann@example.com"),
        Key("chosen", "chosen", "Chosen by", facet=True, values=("search", "rows")),
    ),
    time="created_at",
    tie="id",
    text="query",
    text_heading="Text in the search that was deleted",
    example='state:failed  by:ann@example.com  chosen:search  after:-7d  "type:ValueError"',
)
TraceQuery = Query
parse = TRACES.parse
