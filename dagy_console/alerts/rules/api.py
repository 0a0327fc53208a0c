"""`/notifications/rules`."""

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.alerts.rules import previewing, selectors, services
from dagy_console.alerts.rules.presenting import preview_out, rule_out
from dagy_console.alerts.rules.terms import LONGEST_NAME, Terms
from dagy_console.alerts.rules.why import why
from dagy_console.alerts.search import RULES
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, QueryParams, StrictRouter, Text, moment
from dagy_console.core.times import to_rfc3339
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["notifications"])


class RuleParams(ListParams, listing=RULES):
    pass


class WhyParams(QueryParams):
    at: Text = Field("-0s", description="A time like 2026-01-15T10:30:00Z, or relative like -2h.")


class ConditionIn(BodyIn):
    op: Literal["above", "below", "change"]
    value: float = Field(description="Of what is counted; for change: how many times the window before.")


class HoursIn(BodyIn):
    """`to` is the next day's where it is not after `from`."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    begins: Text = Field(alias="from", description="A time of day: 09:00.")
    ends: Text = Field(alias="to", description="A time of day: 17:00.")
    time_zone: Text = Field(description="Europe/Berlin, say.")


class StepIn(BodyIn):
    after_seconds: int = Field(description="After it fired; a minute and more after the step before.")
    channel_ids: list[UUID] = Field(default_factory=list)
    rotation_ids: list[UUID] = Field(default_factory=list, description="Whoever is on call of them.")


NoDataIn = Literal["ok", "keep", "alert"]


class RuleIn(BodyIn):
    name: Text = Field(max_length=LONGEST_NAME)
    measure: Text = Field(description="What is watched: exception_count, run_failed and others; see docs/api.md.")
    query: Text = Field("", max_length=2_000, description="In the search language of what is counted.")
    window_seconds: int = Field(description="A minute to 31 days.")
    condition: ConditionIn
    group_by: list[Text] = Field(default_factory=list, description="Keys of that language: an alert for each value.")
    for_seconds: int = Field(0, description="How long it must hold before it fires.")
    severity: Literal["info", "warning", "critical"] = "warning"
    channel_ids: list[UUID] = Field(default_factory=list)
    rotation_ids: list[UUID] = Field(default_factory=list, description="Whoever is on call of them is told besides.")
    repeat_seconds: int = Field(0, description="Told again so often while it fires; 0: never.")
    escalation: list[StepIn] = Field(default_factory=list, description="Whom else, where nobody acknowledges it.")
    no_data: NoDataIn = Field("ok", description="What becomes of it where there is nothing to measure.")
    hours: HoursIn | None = Field(None, description="When it watches; null: always.")
    enabled: bool = True
    org_id: Text | None = Field(None, description="Left out: your only organization; for the staff, the platform.")


class PreviewIn(RuleIn):
    name: Text = Field("", max_length=LONGEST_NAME)


class RuleChangeIn(BodyIn):
    name: Text | None = Field(None, max_length=LONGEST_NAME)
    query: Text | None = Field(None, max_length=2_000)
    window_seconds: int | None = None
    condition: ConditionIn | None = None
    group_by: list[Text] | None = None
    for_seconds: int | None = None
    severity: Literal["info", "warning", "critical"] | None = None
    channel_ids: list[UUID] | None = None
    rotation_ids: list[UUID] | None = None
    repeat_seconds: int | None = None
    escalation: list[StepIn] | None = None
    no_data: NoDataIn | None = None
    hours: HoursIn | None = None
    enabled: bool | None = None


class ConditionOut(Schema):
    op: str
    value: float


class RuleOut(Schema):
    """`problem`: why it could not be checked last."""

    id: str
    org_id: str | None
    name: str
    measure: str
    query: str
    window_seconds: int
    condition: ConditionOut
    group_by: list[str]
    for_seconds: int
    severity: str
    channel_ids: list[str]
    rotation_ids: list[str]
    repeat_seconds: int
    escalation: list[dict[str, Any]]
    no_data: str
    hours: dict[str, Any] | None
    enabled: bool
    checked_at: str | None
    problem: str | None
    created_by: str
    created_at: str


class FoundOut(Schema):
    dimensions: dict[str, str]
    value: float
    fires: bool


class FiringOut(Schema):
    """`until` null: it would still fire."""

    label: str
    since: str
    until: str | None
    peak: float


class PointOut(Schema):
    """`value`: the worst of its part of the span, over all dimensions; null: no data."""

    at: str
    value: float | None


class PreviewOut(Schema):
    """`step_seconds`: how far apart the moments are that were looked at. Without history all but `now` is null."""

    said: str
    warning: str | None
    now: list[FoundOut]
    start: str | None
    end: str | None
    step_seconds: float | None
    fired: list[FiringOut] | None
    series: list[PointOut] | None


class ReasonOut(Schema):
    """`about`: rule, value, alert or message, or which of them."""

    about: str
    said: str


class WhyOut(Schema):
    at: str
    reasons: list[ReasonOut]


class RulePageOut(Schema):
    items: list[RuleOut]
    next_cursor: str | None


@router.get("/notifications/rules", response={200: RulePageOut, **PROBLEMS})
def list_rules(request: ApiRequest, params: Query[RuleParams]) -> dict[str, Any]:
    """Rules, newest first."""
    return list_page(RULES, params, selectors.with_channels(selectors.visible_to(request.actor)), out=rule_out)


@router.post("/notifications/rules", idempotent=True, response={201: RuleOut, **BODY_PROBLEMS})
def create_rule(request: ApiRequest, body: RuleIn) -> Status[dict[str, Any]]:
    """Watch something: it is checked every 10 seconds."""
    rule = services.create_rule(actor=request.actor, org_id=body.org_id or request.actor.org_id, terms=_terms(body))
    return Status(201, rule_out(rule))


@router.post("/notifications/rules/preview", response={200: PreviewOut, **BODY_PROBLEMS})
def preview_rule(request: ApiRequest, body: PreviewIn) -> dict[str, Any]:
    """When such a rule would have fired in the last 7 days, and what it would find now. Nothing is kept."""
    found = previewing.preview_rule(actor=request.actor, org_id=body.org_id or request.actor.org_id, terms=_terms(body))
    return preview_out(found)


def _terms(body: RuleIn) -> Terms:
    told = body.model_dump(exclude={"org_id", "condition"}, by_alias=True)
    return Terms(**told, op=body.condition.op, value=body.condition.value)


@router.get("/notifications/rules/{rule_id}", response={200: RuleOut, **PROBLEMS})
def get_rule(request: ApiRequest, rule_id: UUID) -> dict[str, Any]:
    """One rule."""
    return rule_out(selectors.get_rule(request.actor, rule_id))


@router.get("/notifications/rules/{rule_id}/why", response={200: WhyOut, **PROBLEMS})
def why_rule(request: ApiRequest, rule_id: UUID, params: Query[WhyParams]) -> dict[str, Any]:
    """Why it did or did not tell at that moment: what it was, what that made of its alerts, what became of messages."""
    rule = selectors.get_rule(request.actor, rule_id)
    at = moment("at", params.at)
    return {"at": to_rfc3339(at), "reasons": [asdict(one) for one in why(rule, at)]}


@router.patch("/notifications/rules/{rule_id}", response={200: RuleOut, **BODY_PROBLEMS})
def change_rule(request: ApiRequest, rule_id: UUID, body: RuleChangeIn) -> dict[str, Any]:
    """What is left out, or null, stays as it is; but `hours` null: always. What fires goes on, and clears by the new
    terms."""
    told = body.model_dump(exclude={"condition"}, exclude_unset=True, by_alias=True)
    changes = {name: value for name, value in told.items() if value is not None or name == "hours"}
    if body.condition:
        changes |= {"op": body.condition.op, "value": body.condition.value}
    return rule_out(services.change_rule(actor=request.actor, rule_id=rule_id, **changes))


@router.delete("/notifications/rules/{rule_id}", response={204: None, **PROBLEMS})
def delete_rule(request: ApiRequest, rule_id: UUID) -> Status[None]:
    """With its alerts; what was sent stays."""
    services.delete_rule(actor=request.actor, rule_id=rule_id)
    return Status(204, None)
