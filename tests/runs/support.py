"""Bundles of flows, as `dagy deploy` makes them."""

import hashlib
import io
import json
import urllib.parse
import urllib.request
import zipfile
from datetime import timedelta
from typing import Any

from django.utils import timezone

from dagy_console.runs.models import Deployment, Flow, Run, Schedule

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


class Caller:
    """Somebody's calls to a console that runs, as a program makes them."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self.url, self._token = url, ""
        self._token = self.call("/auth/login", {"email": email, "password": password})["access_token"]

    def call(self, path: str, body: Any = None) -> Any:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/zip" if isinstance(body, bytes) else "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def deploy(self, code: str, flow: str, **options: str) -> None:
        data, sha256 = bundle({"flows.py": code})
        query = urllib.parse.urlencode({"entrypoint": f"flows.py:{flow}", "sha256": sha256, **options})
        self.call(f"/deployments?{query}", data)

    def trigger(self, flow: str, **parameters: Any) -> dict[str, Any]:
        run: dict[str, Any] = self.call("/runs", {"flow": flow, "parameters": parameters})
        return run


def a_schedule(flow: Flow) -> Schedule:
    """Every day at six, by UTC."""
    return Schedule.objects.create(
        organization_id=flow.organization_id,
        flow=flow,
        cron="0 6 * * *",
        time_zone="UTC",
        next_at=timezone.now() + timedelta(hours=1),
        created_by="bob@blue.example",
    )


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
