"""`/schedules`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, problems
from dagy_console.core.organizations import org_of
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page
from dagy_console.runs.schedules import selectors, services
from dagy_console.runs.schedules.presenting import schedule_out
from dagy_console.runs.search import SCHEDULES

router = StrictRouter(tags=["schedules"])


class ScheduleParams(ListParams, listing=SCHEDULES):
    pass


class ScheduleIn(BodyIn):
    flow: Text = Field(max_length=200)
    cron: Text = Field(max_length=100, description="Five fields: minute, hour, day, month, weekday.")
    time_zone: Text = Field("UTC", max_length=100, description="A name of IANA's, such as Europe/Berlin.")
    parameters: dict[str, Any] = Field(default_factory=dict)
    paused: bool = False
    catch_up: bool = Field(False, description="Start a run for each time that was missed, 100 at most.")
    org_id: Text | None = Field(None, description="Left out: your only organization.")


class ScheduleChangeIn(BodyIn):
    cron: Text | None = Field(None, max_length=100)
    time_zone: Text | None = Field(None, max_length=100)
    parameters: dict[str, Any] | None = None
    paused: bool | None = None
    catch_up: bool | None = None


class ScheduleOut(Schema):
    """`next_times`: the next five, in UTC; none while it is paused. `problem`: why the last one was not started."""

    id: str
    org_id: str
    flow: str
    flow_id: str
    cron: str
    time_zone: str
    parameters: dict[str, Any]
    paused: bool
    catch_up: bool
    next_times: list[str]
    problem: str | None
    created_by: str
    created_at: str


class SchedulePageOut(Schema):
    items: list[ScheduleOut]
    next_cursor: str | None


@router.get("/schedules", response={200: SchedulePageOut, **PROBLEMS})
def list_schedules(request: ApiRequest, params: Query[ScheduleParams]) -> dict[str, Any]:
    """Schedules, newest first."""
    return list_page(SCHEDULES, params, selectors.visible_to(request.actor), out=schedule_out)


@router.post("/schedules", idempotent=True, response={201: ScheduleOut, **BODY_PROBLEMS, **problems(409)})
def create_schedule(request: ApiRequest, body: ScheduleIn) -> Status[dict[str, Any]]:
    """Run a flow at certain times. 409 where nothing of it is deployed."""
    schedule = services.create_schedule(
        actor=request.actor,
        org_id=org_of(request.actor, body.org_id, Permission.SCHEDULES_WRITE),
        flow=body.flow,
        expression=body.cron,
        time_zone=body.time_zone,
        parameters=body.parameters,
        paused=body.paused,
        catch_up=body.catch_up,
    )
    return Status(201, schedule_out(schedule))


@router.patch("/schedules/{schedule_id}", response={200: ScheduleOut, **BODY_PROBLEMS})
def change_schedule(request: ApiRequest, schedule_id: UUID, body: ScheduleChangeIn) -> dict[str, Any]:
    """What is left out stays as it is. One that is resumed goes on from now."""
    changes = {name: value for name, value in body.model_dump().items() if value is not None}
    return schedule_out(services.change_schedule(actor=request.actor, schedule_id=schedule_id, **changes))


@router.delete("/schedules/{schedule_id}", response={204: None, **PROBLEMS})
def delete_schedule(request: ApiRequest, schedule_id: UUID) -> Status[None]:
    """The runs that it has started stay."""
    services.delete_schedule(actor=request.actor, schedule_id=schedule_id)
    return Status(204, None)
