"""What the API answers, as typed values. `raw` is the JSON itself; fields that a newer server adds are only there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    raw: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Self:
        known = {f.name for f in dataclasses.fields(cls)} - {"raw"}
        return cls(raw=raw, **{name: value for name, value in raw.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(_Answered):
    access_token: str = field(repr=False)
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(_Answered):
    org_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Me(_Answered):
    id: str
    email: str
    super_admin: bool = False
    permissions: list[str] = field(default_factory=list)

    @property
    def memberships(self) -> list[Membership]:
        return [Membership.of(item) for item in self.raw.get("memberships", [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowInfo(_Answered):
    id: str
    name: str
    org_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(_Answered):
    id: str
    flow: str | None = None
    version: Any = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Answered):
    """The first failure of a run; see `dagy.records.FailureRecord`."""

    task_id: str | None = None
    attempt: int | None = None
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTask(_Answered):
    task_id: str
    name: str = ""
    status: str = ""
    depends_on: list[str] = field(default_factory=list)
    started_at: str | None = None
    ended_at: str | None = None
    duration_seconds: float | None = None
    error_type: str | None = None
    reason: str | None = None

    @property
    def attempts(self) -> int:
        found = self.raw.get("attempts", 0)
        return len(found) if isinstance(found, list) else int(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(_Answered):
    id: str
    status: str
    org_id: str | None = None
    trigger: str | None = None
    reason: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    ended_at: str | None = None
    duration_seconds: float | None = None

    @property
    def flow(self) -> str:
        found = self.raw.get("flow")
        return str(found.get("name", "")) if isinstance(found, dict) else str(found or "")

    @property
    def task_runs(self) -> list[RunTask]:
        return [RunTask.of(item) for item in self.raw.get("task_runs") or []]

    @property
    def failure(self) -> Failure | None:
        found = self.raw.get("failure")
        return Failure.of(found) if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine(_Answered):
    sequence: int = 0
    """Grows from line to line; what `after` takes."""
    time: str = ""
    level: str = "INFO"
    task_id: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(_Answered):
    task_id: str
    name: str
    size_bytes: int = 0
    content_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(_Answered):
    id: str
    flow: str | None = None
    cron: str | None = None
    timezone: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret(_Answered):
    name: str
    updated_at: str | None = None
