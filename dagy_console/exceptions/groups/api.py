"""`/admin/exceptions/groups` and what is different about a selection of traces."""

from typing import Any

from ninja import Field, Query, Schema

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text
from dagy_console.exceptions import selectors as traces
from dagy_console.exceptions.groups import selectors, services
from dagy_console.exceptions.groups.differing import differences
from dagy_console.exceptions.groups.serializers import group_out
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.api import ListParams, SearchParams, list_page, query_of

router = StrictRouter(tags=["exceptions"])


class GroupParams(ListParams, listing=GROUPS):
    pass


class DifferenceParams(SearchParams, listing=TRACES):
    pass


class GroupOut(Schema):
    """`spreading`: organizations that were hit for the first time within the hour."""

    fingerprint: str
    title: str
    exception_type: str
    count: int
    first_seen: str
    last_seen: str
    organizations: int
    spreading: int
    status: str
    regressed: bool
    note: str
    status_at: str | None
    status_by: str


class GroupsOut(Schema):
    items: list[GroupOut]
    next_cursor: str | None


class GroupDetailOut(GroupOut):
    """`canonical` is the text that was hashed: the frames and words that make these traces one group."""

    canonical: str


class StatusIn(BodyIn):
    status: Text | None = Field(None, description="`open`, `resolved` or `ignored`.")
    note: Text | None = Field(None, description="At most 2,000 characters, for whoever looks next.")


class DifferenceOut(Schema):
    """`lift` is `share_in` by `share_out`; null where no other trace has the value."""

    key: str
    value: str
    count: int
    share_in: float
    share_out: float
    lift: float | None


class DifferencesOut(Schema):
    items: list[DifferenceOut]
    total_in: int
    total_out: int


@router.get("/admin/exceptions/groups", response={200: GroupsOut, **PROBLEMS})
def list_groups(request: ApiRequest, params: Query[GroupParams]) -> dict[str, Any]:
    """Groups of traces, the last seen first, or in another order."""
    return list_page(GROUPS, params, selectors.visible_to(request.actor), out=group_out)


@router.get("/admin/exceptions/groups/{fingerprint}", response={200: GroupDetailOut, **PROBLEMS})
def get_group(request: ApiRequest, fingerprint: str) -> dict[str, Any]:
    """One group; also one whose traces are all gone."""
    return _detail(request, fingerprint)


@router.patch("/admin/exceptions/groups/{fingerprint}", response={200: GroupDetailOut, **BODY_PROBLEMS})
def set_status(request: ApiRequest, fingerprint: str, body: StatusIn) -> dict[str, Any]:
    """Open, resolve or ignore it, with a note. A resolved one that comes back is reopened."""
    services.set_status(actor=request.actor, fingerprint=fingerprint, **body.model_dump())
    return _detail(request, fingerprint)


def _detail(request: ApiRequest, fingerprint: str) -> dict[str, Any]:
    group = selectors.get_group(request.actor, fingerprint)
    return group_out(group) | {"canonical": group.canonical}


@router.get("/admin/exceptions/differences", response={200: DifferencesOut, **PROBLEMS})
def list_differences(request: ApiRequest, params: Query[DifferenceParams]) -> dict[str, Any]:
    """Values that what matches has more often than the other traces of the same hours, ranked by lift."""
    return differences(traces.visible_to(request.actor), query_of(TRACES, params)).out()
