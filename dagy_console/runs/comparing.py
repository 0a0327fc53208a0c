"""A run's code beside that of the flow's last run that succeeded: what was changed since it last worked."""

from dataclasses import dataclass, field

from dagy_console.core import artifacts
from dagy_console.core.errors import ConsoleError
from dagy_console.runs import selectors
from dagy_console.runs.differing import FileDiff, differences
from dagy_console.runs.models import Deployment, Run, edges


@dataclass(frozen=True, slots=True)
class Comparison:
    """`facts` are what differs besides the code, each with its old and its new value; `problem` says why the code
    can't be compared."""

    success: Run
    is_same_version: bool
    facts: list[tuple[str, str, str]] = field(default_factory=list)
    files: list[FileDiff] = field(default_factory=list)
    problem: str = ""


def last_success(run: Run) -> Comparison | None:
    """Without the code. None where no earlier run of the flow has succeeded here, or its own code is not here."""
    success = selectors.last_success_before(run) if run.deployment else None
    if success is None:
        return None
    is_same = success.deployment_id == run.deployment_id
    return Comparison(success, is_same, [] if is_same else _facts(success.deployed, run.deployed))


def with_code(run: Run) -> Comparison | None:
    known = last_success(run)
    if known is None or known.is_same_version:
        return known
    before, after = known.success.deployed, run.deployed
    if before.sha256 == after.sha256:
        return known
    try:
        files = differences(artifacts.read(before.bundle_key), artifacts.read(after.bundle_key))
    except ConsoleError as error:
        return Comparison(known.success, False, known.facts, problem=error.detail)
    return Comparison(known.success, False, known.facts, files)


def _facts(before: Deployment, after: Deployment) -> list[tuple[str, str, str]]:
    told = [
        ("Version", str(before.version), str(after.version)),
        ("Label", before.label, after.label),
        ("Entrypoint", before.entrypoint, after.entrypoint),
        ("Deployed by", before.created_by, after.created_by),
        *_tasks(edges(before.graph), edges(after.graph)),
    ]
    return [fact for fact in told if fact[1] != fact[2]]


def _tasks(before: dict[str, list[str]] | None, after: dict[str, list[str]] | None) -> list[tuple[str, str, str]]:
    """What of the graph differs, task by task; nothing where one of them depends on parameters."""
    if before is None or after is None:
        return []
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return [(f"Task {name}", _waits(before, name), _waits(after, name)) for name in names[:50]]


def _waits(tasks: dict[str, list[str]], name: str) -> str:
    if name not in tasks:
        return "not there"
    return f"after {', '.join(tasks[name])}" if tasks[name] else "at the beginning"
