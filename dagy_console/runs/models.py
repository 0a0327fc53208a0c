"""Flows, and the versions of their code that were deployed."""

import uuid
from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models

from dagy_console.accounts.models import Organization


class Flow(models.Model):
    """A DAG of tasks of one organization, by its name there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="flows")
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    latest = models.ForeignKey("Deployment", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint("organization", "name", name="flow_name_is_unique_in_its_organization"),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="flow_of_organization"),
            models.Index(fields=["-created_at", "-id"], name="flow_newest"),
            GinIndex(OpClass("name", name="gin_trgm_ops"), name="flow_by_text"),
        ]

    def __str__(self) -> str:
        return self.name


class Deployment(models.Model):
    """One version of a flow's code. Its bundle lies in the artifacts bucket, under its own checksum."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="deployments")
    flow = models.ForeignKey(Flow, on_delete=models.PROTECT, related_name="deployments")
    # Counts the flow's versions from 1; `label` is what its author calls it.
    version = models.PositiveIntegerField()
    label = models.CharField(max_length=100, blank=True)
    entrypoint = models.CharField(max_length=500)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    # {"tasks": [{"task_id", "name", "depends_on"}] or null, "parameters": […], "problem": … or null}
    graph = models.JSONField()
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("flow", "version", name="deployment_version_is_unique_in_its_flow"),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="deployment_of_organization"),
            models.Index(fields=["flow", "-created_at", "-id"], name="deployment_of_flow"),
            models.Index(fields=["-created_at", "-id"], name="deployment_newest"),
            GinIndex(OpClass("label", name="gin_trgm_ops"), name="deployment_by_text"),
        ]

    def __str__(self) -> str:
        return f"{self.flow.name} version {self.version}"

    @property
    def bundle_key(self) -> str:
        return bundle_key(self.organization_id, self.sha256)

    def snapshot(self) -> dict[str, Any]:
        """For the audit log: what may differ from one version to the next."""
        return {
            "version": self.version,
            "label": self.label,
            "entrypoint": self.entrypoint,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "tasks": edges(self.graph),
            "parameters": self.graph["parameters"],
        }


def bundle_key(org_id: str, sha256: str) -> str:
    return f"bundles/{org_id}/{sha256}.zip"


def edges(graph: dict[str, Any]) -> dict[str, list[str]] | None:
    """Task id → the ids that it waits for; None where the graph depends on parameters."""
    tasks = graph["tasks"]
    return None if tasks is None else {task["task_id"]: task["depends_on"] for task in tasks}
