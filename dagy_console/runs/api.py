"""`/flows` and `/deployments`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, QueryParams, StrictRouter, Text, problems
from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page
from dagy_console.runs import bundles, selectors
from dagy_console.runs.search import DEPLOYMENTS, FLOWS
from dagy_console.runs.serializers import deployment_out, flow_detail_out, flow_out
from dagy_console.runs.services import deploying

router = StrictRouter(tags=["flows"])


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
    graph: dict[str, Any]
    created_by: str
    created_at: str


class FlowDetailOut(FlowOut):
    latest: DeploymentOut | None


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
    org_id = _org_of(request, params.org_id)
    deployment = deploying.deploy(
        actor=request.actor,
        org_id=org_id,
        bundle=request.body,
        sha256=params.sha256,
        entrypoint=params.entrypoint,
        label=params.version or "",
        flow_name=params.flow,
    )
    return Status(201, deployment_out(deployment))


@router.get("/deployments", response={200: DeploymentPageOut, **PROBLEMS})
def list_deployments(request: ApiRequest, params: Query[DeploymentParams]) -> dict[str, Any]:
    """Versions of flows, newest first."""
    return list_page(DEPLOYMENTS, params, selectors.deployments_visible_to(request.actor), out=deployment_out)


def _org_of(request: ApiRequest, org_id: str | None) -> str:
    """Where no organization is named, the only one that the actor is in."""
    found = org_id or request.actor.org_id
    if not found:
        request.actor.require_somewhere(Permission.FLOWS_WRITE)
        raise Invalid.field("org_id", "say for which organization")
    return found
