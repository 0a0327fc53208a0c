"""`/flows`, `/deployments` and `/runs`."""

from typing import Any, Literal
from uuid import UUID

from django.http import HttpResponse
from ninja import Field, Query, Schema, Status

from dagy_console.core.api import (
    BODY_PROBLEMS,
    PROBLEMS,
    ApiRequest,
    BodyIn,
    DownloadOut,
    QueryParams,
    StrictRouter,
    Text,
    problems,
)
from dagy_console.core.http import refuse_other_sites
from dagy_console.core.organizations import org_of
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page, parsed
from dagy_console.runs import bundles, logs, selectors, stuck
from dagy_console.runs.search import DEPLOYMENTS, FLOWS, RUNS
from dagy_console.runs.serializers import (
    artifact_out,
    deployment_out,
    flow_detail_out,
    flow_out,
    log_line_out,
    log_line_text,
    run_detail_out,
    run_out,
    stuck_out,
)
from dagy_console.runs.services import cancelling, deploying, downloading, many, pushing, triggering

router = StrictRouter(tags=["flows and runs"])


class FlowParams(ListParams, listing=FLOWS):
    pass


class DeploymentParams(ListParams, listing=DEPLOYMENTS):
    pass


class DeployParams(QueryParams):
    entrypoint: Text = Field(max_length=500, description="A file in the bundle and the flow in it: flows.py:nightly.")
    sha256: Text = Field(pattern="^[0-9a-fA-F]{64}$", description="Of the body, in hex.")
    org_id: Text | None = Field(None, description="Left out: your only organization.")
    version: Text | None = Field(
        None, max_length=100, description="What its author calls it; the flow's own otherwise."
    )
    flow: Text | None = Field(None, max_length=200, description="The flow's name, if it must be this one.")
    on_worker_lost: Literal["fail", "restart"] = Field(
        "fail",
        description="What becomes of a run whose worker dies; `restart` begins it again, up to three times in all.",
    )
    queue: Text = Field("default", max_length=50, description="Where its runs wait for a worker.")
    concurrency_limit: int | None = Field(
        None, ge=1, le=1000, description="How many runs of the flow there may be at once; left out: any number."
    )


class PushParams(QueryParams):
    sha256: Text = Field(pattern="^[0-9a-fA-F]{64}$", description="Of the body, in hex.")
    org_id: Text | None = Field(None, description="Left out: your only organization.")


class RunParams(ListParams, listing=RUNS):
    pass


class LogParams(QueryParams):
    task_id: Text | None = Field(None, max_length=100, description="`-` is the run itself.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = Field(None, description="At least.")
    q: Text | None = Field(
        None, max_length=200, description="A text in the message, or a regular expression between slashes: /time.?out/."
    )
    after: int = Field(0, ge=0, le=2**62, description="The sequence number to go on after.")
    limit: int = Field(200, ge=1, le=1000)


class TriggerIn(BodyIn):
    flow: Text = Field(max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict)
    org_id: Text | None = Field(None, description="Left out: your only organization.")


class CancelIn(BodyIn):
    reason: Text = Field("", max_length=500)


class RetryIn(BodyIn):
    from_failure: bool = Field(False, description="Take over the outputs of the tasks that succeeded.")


class ManyIn(BodyIn):
    q: Text = Field(max_length=2_000, description="As in the search box.")
    expected_count: int = Field(ge=0, description="How many runs you know that this hits.")


class CancelManyIn(ManyIn):
    reason: Text = Field("", max_length=500)


class RetryManyIn(ManyIn):
    from_failure: bool = True


class ManyOut(Schema):
    count: int


class FlowOut(Schema):
    id: str
    name: str
    org_id: str
    created_at: str
    latest_version: int | None


class DeploymentOut(Schema):
    """`graph`: `tasks` (null where they depend on parameters; then `problem` says so) and `parameters`."""

    id: str
    org_id: str
    flow_id: str
    flow: str
    version: int
    label: str
    entrypoint: str
    sha256: str
    size_bytes: int
    on_worker_lost: str
    queue: str
    concurrency_limit: int | None
    graph: dict[str, Any]
    created_by: str
    created_at: str


class FlowDetailOut(FlowOut):
    latest: DeploymentOut | None


class RunOut(Schema):
    """`failure`: the first failing task, its error and what to do, or null. Tasks are counted at the run's end;
    `executions` is more than 1 where a worker was lost and the run was begun again."""

    id: str
    org_id: str
    flow: str
    flow_id: str
    version: int | None
    status: str
    reason: str | None
    queue: str
    trigger: str
    triggered_by: str
    parameters: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    error_type: str | None
    failure: dict[str, Any] | None
    log_lines: int
    task_count: int
    succeeded_count: int
    executions: int
    retry_of: str | None
    reuses_outputs: bool


class TaskRunOut(Schema):
    task_id: str
    name: str
    status: str
    depends_on: list[str]
    attempts: list[dict[str, Any]]
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    error_type: str | None
    reason: str | None
    artifacts: list[dict[str, Any]]


class RunDetailOut(RunOut):
    task_runs: list[TaskRunOut]


class LogLineOut(Schema):
    sequence: int
    time: str
    level: str
    task_id: str | None
    message: str


class LogOut(Schema):
    items: list[LogLineOut]


class ArtifactOut(Schema):
    task_id: str
    name: str
    size_bytes: int | None
    content_type: str | None


class ArtifactsOut(Schema):
    items: list[ArtifactOut]


class RunPageOut(Schema):
    items: list[RunOut]
    next_cursor: str | None


class StuckKindOut(Schema):
    """`kind`: `queued`, `overrun`, `cancelling` or `lost`; `runs` are the oldest 50 of `count`."""

    kind: str
    advice: str
    count: int
    runs: list[RunOut]


class StuckOut(Schema):
    items: list[StuckKindOut]


class FlowPageOut(Schema):
    items: list[FlowOut]
    next_cursor: str | None


class DeploymentPageOut(Schema):
    items: list[DeploymentOut]
    next_cursor: str | None


@router.get("/flows", response={200: FlowPageOut, **PROBLEMS})
def list_flows(request: ApiRequest, params: Query[FlowParams]) -> dict[str, Any]:
    """Flows, newest first, as far as you may see them."""
    return list_page(FLOWS, params, selectors.flows_visible_to(request.actor), out=flow_out)


@router.get("/flows/{flow_id}", response={200: FlowDetailOut, **PROBLEMS})
def get_flow(request: ApiRequest, flow_id: UUID) -> dict[str, Any]:
    """A flow with its latest version."""
    return flow_detail_out(selectors.get_flow(request.actor, flow_id))


@router.post(
    "/deployments",
    idempotent=True,
    max_body=bundles.MAX_BYTES,
    response={201: DeploymentOut, **BODY_PROBLEMS, **problems(503)},
)
def create_deployment(request: ApiRequest, params: Query[DeployParams]) -> Status[dict[str, Any]]:
    """Deploy a version of a flow. The body is the zip of its code (`application/zip`, 10 MB at most)."""
    org_id = org_of(request.actor, params.org_id, Permission.FLOWS_WRITE)
    deployment = deploying.deploy(
        actor=request.actor,
        org_id=org_id,
        bundle=request.body,
        sha256=params.sha256,
        entrypoint=params.entrypoint,
        label=params.version or "",
        flow_name=params.flow,
        terms=deploying.Terms(params.on_worker_lost, params.queue, params.concurrency_limit),
    )
    return Status(201, deployment_out(deployment))


@router.get("/deployments", response={200: DeploymentPageOut, **PROBLEMS})
def list_deployments(request: ApiRequest, params: Query[DeploymentParams]) -> dict[str, Any]:
    """Versions of flows, newest first."""
    return list_page(DEPLOYMENTS, params, selectors.deployments_visible_to(request.actor), out=deployment_out)


@router.get("/runs", response={200: RunPageOut, **PROBLEMS})
def list_runs(request: ApiRequest, params: Query[RunParams]) -> dict[str, Any]:
    """Runs, newest first, as far as you may see them."""
    return list_page(RUNS, params, selectors.runs_visible_to(request.actor), out=run_out)


@router.get("/runs/stuck", response={200: StuckOut, **PROBLEMS})
def list_stuck_runs(request: ApiRequest) -> dict[str, Any]:
    """Runs that are not where they should be: queued, running or cancelling for too long, or without a worker."""
    return {"items": [stuck_out(kind) for kind in stuck.stuck(selectors.runs_visible_to(request.actor))]}


@router.post("/runs", idempotent=True, response={201: RunOut, **BODY_PROBLEMS, **problems(409)})
def trigger_run(request: ApiRequest, body: TriggerIn) -> Status[dict[str, Any]]:
    """Start a run of a flow's latest version. 409 where nothing is deployed, or the organization is suspended."""
    org_id = org_of(request.actor, body.org_id, Permission.RUNS_TRIGGER)
    run = triggering.trigger(actor=request.actor, org_id=org_id, flow=body.flow, parameters=body.parameters)
    return Status(201, run_out(run))


@router.post(
    "/runs/local",
    idempotent=True,
    max_body=pushing.MAX_BYTES,
    response={201: RunOut, **BODY_PROBLEMS, **problems(409, 503)},
)
def push_run(request: ApiRequest, params: Query[PushParams]) -> Status[dict[str, Any]]:
    """Keep a run of somebody's own machine. The body is a zip of its files (`application/zip`, 15 MB at most), as
    `dagy runs push` makes it."""
    org_id = org_of(request.actor, params.org_id, Permission.RUNS_TRIGGER)
    run = pushing.push(actor=request.actor, org_id=org_id, archive=request.body, sha256=params.sha256)
    return Status(201, run_out(run))


@router.post("/runs/cancel", idempotent=True, response={200: ManyOut, **BODY_PROBLEMS, **problems(409)})
def cancel_runs(request: ApiRequest, body: CancelManyIn) -> dict[str, int]:
    """Stop all runs of a search that wait or go on, 1,000 at most. 409 where others match than you counted."""
    query = parsed(RUNS, body.q)
    count = many.cancel_matching(
        actor=request.actor, query=query, expected_count=body.expected_count, reason=body.reason
    )
    return {"count": count}


@router.post("/runs/retry", idempotent=True, response={200: ManyOut, **BODY_PROBLEMS, **problems(409)})
def retry_runs(request: ApiRequest, body: RetryManyIn) -> dict[str, int]:
    """Start all runs of a search again that failed or were cancelled, 1,000 at most, and were not yet."""
    query = parsed(RUNS, body.q)
    count = many.retry_matching(
        actor=request.actor, query=query, expected_count=body.expected_count, from_failure=body.from_failure
    )
    return {"count": count}


@router.get("/runs/{run_id}", response={200: RunDetailOut, **PROBLEMS})
def get_run(request: ApiRequest, run_id: UUID) -> dict[str, Any]:
    """A run with its tasks, their attempts, and the first failure."""
    return run_detail_out(selectors.get_run(request.actor, run_id))


@router.get("/runs/{run_id}/logs", response={200: LogOut, **PROBLEMS})
def get_log(request: ApiRequest, run_id: UUID, params: Query[LogParams]) -> Any:
    """The log, newest last; `Accept: text/plain` gives text."""
    run = selectors.get_run(request.actor, run_id)
    query = logs.asked(params.task_id, params.level, params.q)
    found = logs.after(run, query, params.after, params.limit).lines
    if request.accepts("application/json"):
        return {"items": [log_line_out(line) for line in found]}
    return HttpResponse("".join(map(log_line_text, found)), content_type="text/plain; charset=utf-8")


@router.get("/runs/{run_id}/artifacts", response={200: ArtifactsOut, **PROBLEMS})
def list_artifacts(request: ApiRequest, run_id: UUID) -> dict[str, Any]:
    """What the run's tasks have left behind, outputs included, in the order of the tasks."""
    run = selectors.get_run(request.actor, run_id)
    return {"items": [artifact_out(task, kept) for task, kept in selectors.artifacts_of(run)]}


@router.get("/runs/{run_id}/artifacts/{task_id}/{name}", response={200: DownloadOut, **PROBLEMS, **problems(503)})
def download_artifact(request: ApiRequest, run_id: UUID, task_id: str, name: str) -> Any:
    """A link that downloads the artifact, for 15 minutes. It is on record."""
    refuse_other_sites(request)
    if request.is_head:
        selectors.get_artifact(selectors.get_run(request.actor, run_id), task_id, name)
        return HttpResponse(content_type="application/json")
    return downloading.start_download(actor=request.actor, run_id=run_id, task_id=task_id, name=name).out()


@router.post("/runs/{run_id}/cancel", idempotent=True, response={202: RunOut, **BODY_PROBLEMS, **problems(409)})
def cancel_run(request: ApiRequest, run_id: UUID, body: CancelIn) -> Status[dict[str, Any]]:
    """Stop a run. A second time is no error; 409 where it has ended."""
    return Status(202, run_out(cancelling.cancel(actor=request.actor, run_id=run_id, reason=body.reason)))


@router.post("/runs/{run_id}/retry", idempotent=True, response={201: RunOut, **BODY_PROBLEMS, **problems(409)})
def retry_run(request: ApiRequest, run_id: UUID, body: RetryIn) -> Status[dict[str, Any]]:
    """A new run of the same version with the same parameters. 409 where it goes on, or has nothing that failed."""
    run = triggering.retry(actor=request.actor, run_id=run_id, from_failure=body.from_failure)
    return Status(201, run_out(run))
