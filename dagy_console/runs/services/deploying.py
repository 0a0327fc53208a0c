"""Deploying a flow: its code is kept, its graph is read, and both are a new version."""

from dataclasses import asdict, dataclass

from django.conf import settings
from django.db import transaction

from dagy_console.accounts.models import Organization
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import artifacts
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid, Unavailable
from dagy_console.core.permissions import Permission
from dagy_console.runs import bundles, children
from dagy_console.runs.models import DEFAULT_QUEUE, Deployment, Flow, OnWorkerLost, bundle_key


@dataclass(frozen=True, slots=True)
class Terms:
    """How a version's runs are run; see Deployment."""

    on_worker_lost: str = OnWorkerLost.FAIL
    queue: str = DEFAULT_QUEUE
    concurrency_limit: int | None = None


@transaction.atomic
def deploy(
    *,
    actor: Actor,
    org_id: str,
    bundle: bytes,
    sha256: str,
    entrypoint: str,
    label: str = "",
    flow_name: str | None = None,
    terms: Terms = Terms(),
) -> Deployment:
    """The next version of the flow that `entrypoint` (`file.py:name`) is in the bundle, a zip.

    The flow is known by its own name (`flow_name`, where it must be that one), and made with its first version. What
    is the latest version already, byte for byte, is answered as it is.
    Raises PermissionDenied; Invalid (the bundle, or its code, is not right); Unavailable.
    """
    actor.require(Permission.FLOWS_WRITE, org_id=org_id)
    organization = Organization.objects.filter(pk=org_id).first()
    if organization is None:
        raise Invalid.field("org_id", f"there is no organization {org_id}")
    if not settings.ARTIFACTS_BUCKET:
        raise Unavailable("Bundles are not kept here: DAGY_ARTIFACTS_BUCKET is not set.")
    if terms.queue not in settings.RUN_QUEUES:
        raise Invalid.field("queue", f"there is no queue {terms.queue!r}: {', '.join(settings.RUN_QUEUES)}")
    bundles.checked(bundle, sha256, entrypoint)
    graph = children.read_graph(bundle, entrypoint)
    if flow_name not in (None, graph["flow"]):
        raise Invalid.field("flow", f"the flow in the bundle is called {graph['flow']!r}")
    # Under its own checksum: what is left of a deployment that fails now is what the next one needs.
    artifacts.save(bundle_key(org_id, sha256.lower()), bundle, content_type="application/zip")
    flow = _locked_flow(organization, graph["flow"])
    before = flow.latest
    told = {"sha256": sha256.lower(), "entrypoint": entrypoint, **asdict(terms)}
    if before and told == {name: getattr(before, name) for name in told}:
        return before
    deployment = Deployment.objects.create(
        organization=organization,
        flow=flow,
        version=before.version + 1 if before else 1,
        label=label or graph["version"] or "",
        size_bytes=len(bundle),
        graph={key: graph[key] for key in ("tasks", "parameters", "problem")},
        created_by=actor.email,
        **told,
    )
    flow.latest = deployment
    flow.save(update_fields=["latest"])
    record(
        Action.FLOW_DEPLOYED,
        actor=actor,
        resource_type="flow",
        resource_id=str(flow.pk),
        resource_name=flow.name,
        org_id=org_id,
        before=before.snapshot() if before else None,
        after=deployment.snapshot(),
    )
    return deployment


def _locked_flow(organization: Organization, name: str) -> Flow:
    """One deployment of a flow at a time, so that versions count on."""
    Flow.objects.get_or_create(organization=organization, name=name)
    locked = Flow.objects.select_for_update(of=("self",)).select_related("latest")
    return locked.get(organization=organization, name=name)
