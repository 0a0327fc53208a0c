"""Flows, the versions of their code that were deployed, and their runs."""

import uuid
from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models

from dagy_console.accounts.models import Organization
from dagy_console.core.leases import Leased


class RunStatus(models.TextChoices):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OnWorkerLost(models.TextChoices):
    """What becomes of a run whose worker is gone."""

    FAIL = "fail"
    RESTART = "restart"


RUNS_UNDER_WAY = (RunStatus.RUNNING, RunStatus.CANCELLING)
UNFINISHED_RUNS = (RunStatus.QUEUED, *RUNS_UNDER_WAY)
DEFAULT_QUEUE = "default"
# The trigger of runs that somebody has run on a machine of their own, and pushed.
LOCAL = "local"


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

    @property
    def concurrency_limit(self) -> int | None:
        """How many of its runs there may be at once, as its latest version says."""
        return self.latest.concurrency_limit if self.latest else None


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
    on_worker_lost = models.CharField(max_length=10, choices=OnWorkerLost.choices, default=OnWorkerLost.FAIL)
    # Where its runs wait for a worker.
    queue = models.CharField(max_length=50, default=DEFAULT_QUEUE)
    # How many runs of the flow there may be at once, whatever their version, while this one is its latest.
    concurrency_limit = models.PositiveSmallIntegerField(null=True)
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
            "on_worker_lost": self.on_worker_lost,
            "queue": self.queue,
            "concurrency_limit": self.concurrency_limit,
            "tasks": edges(self.graph),
            "parameters": self.graph["parameters"],
        }


def bundle_key(org_id: str, sha256: str) -> str:
    return f"bundles/{org_id}/{sha256}.zip"


def edges(graph: dict[str, Any]) -> dict[str, list[str]] | None:
    """Task id → the ids that it waits for; None where the graph depends on parameters."""
    tasks = graph["tasks"]
    return None if tasks is None else {task["task_id"]: task["depends_on"] for task in tasks}


class Secret(models.Model):
    """What an organization's runs find in their environment. `encrypted`: see core.encryption."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="secrets")
    name = models.CharField(max_length=100)
    encrypted = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.UniqueConstraint("organization", "name", name="secret_name_is_unique_in_its_organization"),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="secret_of_organization"),
            models.Index(fields=["-created_at", "-id"], name="secret_newest"),
            GinIndex(OpClass("name", name="gin_trgm_ops"), name="secret_by_text"),
        ]

    def __str__(self) -> str:
        return self.name

    def snapshot(self) -> dict[str, Any]:
        """Without its value, in any form."""
        return {"name": self.name, "updated_by": self.updated_by}


class Schedule(models.Model):
    """When a flow's latest version is run by itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="schedules")
    flow = models.ForeignKey(Flow, on_delete=models.PROTECT, related_name="schedules")
    cron = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict)
    paused = models.BooleanField(default=False)
    # Whether a run is started for each time that was missed.
    catch_up = models.BooleanField(default=False)
    next_at = models.DateTimeField()
    # Why the last time started nothing.
    problem = models.TextField(blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="schedule_of_organization"),
            models.Index(fields=["flow", "-created_at", "-id"], name="schedule_of_flow"),
            models.Index(fields=["-created_at", "-id"], name="schedule_newest"),
            models.Index(fields=["next_at"], condition=models.Q(paused=False), name="schedule_due"),
            GinIndex(OpClass("cron", name="gin_trgm_ops"), name="schedule_by_text"),
        ]

    def __str__(self) -> str:
        return f"{self.cron} {self.time_zone}"

    def snapshot(self) -> dict[str, Any]:
        names = ("cron", "time_zone", "parameters", "paused", "catch_up")
        return {"flow": self.flow.name, **{name: getattr(self, name) for name in names}}


class Run(Leased):
    """One execution of a flow. A worker holds its lease while its child process lives."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="runs")
    flow = models.ForeignKey(Flow, on_delete=models.PROTECT, related_name="runs")
    # None: it was run on somebody's own machine, and its code is not here.
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, null=True, related_name="runs")
    status = models.CharField(max_length=20, choices=RunStatus.choices, default=RunStatus.QUEUED)
    queue = models.CharField(max_length=50, default=DEFAULT_QUEUE)
    # Why it ended as it did.
    reason = models.TextField(blank=True)
    trigger = models.CharField(max_length=20)
    triggered_by = models.CharField(max_length=254)
    # The schedule's time that it was started for. Its id is kept as a number: a schedule may be deleted.
    schedule_id = models.UUIDField(null=True)
    scheduled_for = models.DateTimeField(null=True)
    parameters = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # See `dagy.records.FailureRecord`; its error's type stands in a column of its own, to be searched by.
    failure = models.JSONField(null=True)
    error_type = models.CharField(max_length=200, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    # The run that it does again; with its outputs, where `reuses_outputs`: only what had not succeeded is run then.
    retry_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="retries")
    reuses_outputs = models.BooleanField(default=False)
    # How often it was begun: more than once where a worker was lost and the deployment restarts its runs.
    executions = models.PositiveSmallIntegerField(default=0)
    # Host and process of the worker that ran it last.
    worker = models.CharField(max_length=200, blank=True)
    log_lines = models.PositiveBigIntegerField(default=0)
    # Of its end, for lists: how many tasks it had, how many succeeded.
    task_count = models.PositiveIntegerField(default=0)
    succeeded_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("schedule_id", "scheduled_for", name="a_scheduled_time_is_started_once"),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="run_newest"),
            models.Index(fields=["organization", "-created_at", "-id"], name="run_of_organization"),
            models.Index(fields=["flow", "-created_at", "-id"], name="run_of_flow"),
            models.Index(fields=["status", "-created_at", "-id"], name="run_of_status"),
            models.Index(fields=["error_type", "-created_at", "-id"], name="run_of_error"),
            models.Index(fields=["trigger", "-created_at", "-id"], name="run_of_trigger"),
            models.Index(fields=["created_at"], condition=models.Q(status__in=UNFINISHED_RUNS), name="run_unfinished"),
            models.Index(
                fields=["organization", "flow"], condition=models.Q(status__in=RUNS_UNDER_WAY), name="run_under_way"
            ),
            models.Index(
                fields=["flow", "queue", "created_at"], condition=models.Q(status=RunStatus.QUEUED), name="run_waiting"
            ),
            # For what alerts measure over a window.
            models.Index(fields=["ended_at"], name="run_ended"),
            models.Index(fields=["started_at"], name="run_started"),
            GinIndex(OpClass("reason", name="gin_trgm_ops"), name="run_by_text"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def deployed(self) -> Deployment:
        """Of a run of the platform's own."""
        assert self.deployment is not None
        return self.deployment

    @property
    def version(self) -> int | None:
        return self.deployment.version if self.deployment else None

    @property
    def is_final(self) -> bool:
        return self.status not in UNFINISHED_RUNS

    def snapshot(self) -> dict[str, Any]:
        told = {"status": self.status, "reason": self.reason, "version": self.version}
        if self.retry_of_id is None:
            return told
        return told | {"retry_of": str(self.retry_of_id), "reuses_outputs": self.reuses_outputs}


def artifact_key(run: Run, task_id: str, name: str) -> str:
    return f"artifacts/{run.organization_id}/{run.pk}/{task_id}/{name}"


class TaskRun(models.Model):
    """One task of a run, as the run's process last told of it: see `dagy.records.TaskRunRecord`."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="task_runs")
    task_id = models.CharField(max_length=100)
    # In the order of the flow's calls.
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=20)
    depends_on = models.JSONField(default=list)
    attempts = models.JSONField(default=list)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    duration_seconds = models.FloatField(null=True)
    error_type = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    artifacts = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint("run", "task_id", name="task_run_is_unique_in_its_run")]

    def __str__(self) -> str:
        return self.task_id


class LogLine(models.Model):
    """One entry of a run's log. `sequence` counts from 1 in the run; `task_id` is empty for the run itself."""

    pk = models.CompositePrimaryKey("run_id", "sequence")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log", db_index=False)
    sequence = models.PositiveBigIntegerField()
    time = models.DateTimeField()
    level = models.CharField(max_length=20)
    task_id = models.CharField(max_length=100, blank=True)
    message = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["run", "task_id", "sequence"], name="log_line_of_task"),
            models.Index(
                fields=["run", "sequence"],
                condition=models.Q(level__in=("WARNING", "ERROR", "CRITICAL")),
                name="log_line_of_trouble",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.sequence}"
