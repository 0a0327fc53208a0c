"""Flows and deployments as JSON."""

from typing import Any

from dagy_console.core.times import to_rfc3339
from dagy_console.runs.models import Deployment, Flow


def flow_out(flow: Flow) -> dict[str, Any]:
    return {
        "id": str(flow.pk),
        "name": flow.name,
        "org_id": flow.organization_id,
        "created_at": to_rfc3339(flow.created_at),
        "latest_version": flow.latest.version if flow.latest else None,
    }


def flow_detail_out(flow: Flow) -> dict[str, Any]:
    return flow_out(flow) | {"latest": deployment_out(flow.latest) if flow.latest else None}


def deployment_out(deployment: Deployment) -> dict[str, Any]:
    return {
        "id": str(deployment.pk),
        "org_id": deployment.organization_id,
        "flow_id": str(deployment.flow_id),
        "flow": deployment.flow.name,
        "version": deployment.version,
        "label": deployment.label,
        "entrypoint": deployment.entrypoint,
        "sha256": deployment.sha256,
        "size_bytes": deployment.size_bytes,
        "graph": deployment.graph,
        "created_by": deployment.created_by,
        "created_at": to_rfc3339(deployment.created_at),
    }
