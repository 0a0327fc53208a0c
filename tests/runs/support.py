"""Bundles of flows, as `dagy deploy` makes them."""

import hashlib
import io
import zipfile

from dagy_console.runs.models import Deployment, Flow, Run

FLOWS = """
from dagy import flow, task

@task
def extract(day):
    return [1, 2, 3]

@task
def load(rows):
    return len(rows)

@flow(version="2026.1")
def nightly(day: str = "today"):
    load(extract(day))
"""


def bundle(files: dict[str, str] | None = None) -> tuple[bytes, str]:
    """A zip and its checksum; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files or {"flows.py": FLOWS}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
    data = buffer.getvalue()
    return data, hashlib.sha256(data).hexdigest()


def a_run(org_id: str, *, name: str = "nightly") -> Run:
    """One that waits, of a flow that was not really deployed."""
    flow = Flow.objects.create(organization_id=org_id, name=name)
    deployment = Deployment.objects.create(
        organization_id=org_id,
        flow=flow,
        version=1,
        entrypoint="flows.py:nightly",
        sha256="0" * 64,
        size_bytes=1,
        graph={"tasks": [], "parameters": [], "problem": None},
        created_by="bob@blue.example",
    )
    return Run.objects.create(
        organization_id=org_id, flow=flow, deployment=deployment, trigger="api", triggered_by="bob", parameters={}
    )
