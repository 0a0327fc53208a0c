"""`/notifications/silences`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.alerts.search import SILENCES
from dagy_console.alerts.silences import selectors, services
from dagy_console.alerts.silences.matchers import LONGEST_REASON
from dagy_console.alerts.silences.presenting import silence_out
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, moment, problems
from dagy_console.core.times import parse_ahead
from dagy_console.listing.api import ListParams, list_page
from dagy_console.listing.language import Term

router = StrictRouter(tags=["notifications"])


class SilenceParams(ListParams, listing=SILENCES):
    pass


class MatcherIn(BodyIn):
    key: Text = Field(description="rule (its name), severity, org, or a dimension of rules.")
    value: Text = Field(max_length=500, description="`*` is a wildcard.")
    negated: bool = False


class SilenceIn(BodyIn):
    matchers: list[MatcherIn] = Field(description="All must match; of one key, any.")
    until: Text = Field(description="A time like 2026-01-15T10:30:00Z, or from now on like 4h, 7d.")
    starts_at: Text | None = Field(None, description="Likewise; left out: now.")
    reason: Text = Field(max_length=LONGEST_REASON)
    org_id: Text | None = Field(None, description="Left out: your only organization; for the staff, the platform.")


class SilenceOut(Schema):
    """`state`: ahead, active or over. `hidden`: how many alerts it kept quiet."""

    id: str
    org_id: str | None
    matchers: list[dict[str, Any]]
    reason: str
    state: str
    starts_at: str
    until: str
    ended_by: str | None
    hidden: int
    created_by: str
    created_at: str


class SilencePageOut(Schema):
    items: list[SilenceOut]
    next_cursor: str | None


@router.get("/notifications/silences", response={200: SilencePageOut, **PROBLEMS})
def list_silences(request: ApiRequest, params: Query[SilenceParams]) -> dict[str, Any]:
    """Silences, newest first."""
    return list_page(SILENCES, params, selectors.with_hidden(selectors.visible_to(request.actor)), out=silence_out)


@router.post("/notifications/silences", idempotent=True, response={201: SilenceOut, **BODY_PROBLEMS})
def create_silence(request: ApiRequest, body: SilenceIn) -> Status[dict[str, Any]]:
    """Alerts that match fire and are not told, until then; what still fires then is."""
    silence = services.create_silence(
        actor=request.actor,
        org_id=body.org_id or request.actor.org_id,
        matchers=[Term(one.key, one.value, one.negated) for one in body.matchers],
        until=moment("until", body.until, parse=parse_ahead),
        starts_at=moment("starts_at", body.starts_at, parse=parse_ahead) if body.starts_at else None,
        reason=body.reason,
    )
    return Status(201, silence_out(silence))


@router.delete("/notifications/silences/{silence_id}", response={204: None, **PROBLEMS, **problems(409)})
def end_silence(request: ApiRequest, silence_id: UUID) -> Status[None]:
    """It ends now, and stays in the list. 409 where it is over."""
    services.end_silence(actor=request.actor, silence_id=silence_id)
    return Status(204, None)
