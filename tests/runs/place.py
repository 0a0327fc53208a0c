"""org_blue with the flow `nightly`, deployed: what most tests of running runs begin with."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from django.db import connection

from dagy_console.accounts.services.people import add_member, create_organization, create_user
from dagy_console.core.actors import SYSTEM
from dagy_console.core.permissions import Role
from dagy_console.runs import executing
from dagy_console.runs.models import Run, TaskRun
from dagy_console.runs.services import deploying, triggering
from tests.runs.support import bundle

CODE = """
import json, logging, os, signal, sys, time
from dagy import LocalArtifact, RunContext, flow, task

log = logging.getLogger("app")

@task(retries=1)
def extract(day: str, context: RunContext):
    log.info("extracting %s", day)
    if context.attempt == 1:
        raise ConnectionError("again")
    return [1, 2, 3]

@task
def load(rows, how: str):
    if how == "fails":
        raise LookupError("no such table \\0 \\ud800")
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "signals":
        os.kill(os.getpid(), 40)
    if how == "exits":
        os._exit(137)
    if how == "logs":
        for n in range(3000):
            log.info("line %d", n)
    if how == "lies":
        lies = [
            {"kind": "log", "level": [], "message": 5, "task_id": {}, "time": "0001-01-01T00:00:00+14:00"},
            {"kind": "task", "record": {"task_id": "x", "status": {}, "depends_on": 5,
                                        "artifacts": [{"name": 5}, {}, 5, {"name": "ok", "size_bytes": 10**400}],
                                        "attempts": [{"error": {"type": []}, "duration_seconds": -(10**400)}]}},
            {"kind": "task", "record": {"task_id": "y", "started_at": "9999-12-31T23:59:59-14:00",
                                        "duration_seconds": 1e400}},
            {"kind": [], "record": {}},
            {"kind": "run", "record": {"status": [], "tasks": [5, {}, {"task_id": [], "depends_on": {}}]}},
            {"kind": "stored", "task_id": "..", "name": "..", "path": "../../etc/passwd"},
            5,
        ]
        lines = [json.dumps(lie) for lie in lies] + ["[" * 200_000, "no json"]
        for fd in range(3, 200):
            try:
                os.write(fd, "\\n".join(["", *lines, ""]).encode())
            except OSError:
                pass
    if how == "leaves":
        if not os.fork():
            os.setpgid(0, 0)
            for _ in range(400):
                for fd in range(3, 200):
                    try:
                        os.write(fd, b'{"kind": "log", "message": "I am still here"}\\n')
                    except OSError:
                        pass
                time.sleep(0.01)
            os._exit(0)
        os._exit(3)
    if how == "rests":
        time.sleep(1.5)
    if how == "sleeps":
        time.sleep(60)
    if how == "ignores":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        time.sleep(60)
    return LocalArtifact(data="3 rows", name="count.txt")

@task
def report(loaded): ...

@flow
def nightly(day: str = "today", how: str = "works"):
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    report(load(extract(day), how))
"""


class Place:
    """org_blue, its owner, and the flow `nightly`, deployed."""

    def __init__(self, as_actor: Any) -> None:
        organization = create_organization(actor=SYSTEM, org_id="org_blue", name="Blue")
        self.user = create_user(actor=SYSTEM, email="bob@blue.example", name="Bob", password="x" * 20)
        add_member(actor=SYSTEM, user=self.user, organization=organization, role=Role.OWNER)
        self.actor = as_actor(self.user)
        data, sha256 = bundle({"flows.py": CODE})
        deploying.deploy(actor=self.actor, org_id="org_blue", bundle=data, sha256=sha256, entrypoint="flows.py:nightly")

    def trigger(self, **parameters: Any) -> Run:
        return triggering.trigger(actor=self.actor, org_id="org_blue", flow="nightly", parameters=parameters)

    def run(self, **parameters: Any) -> Run:
        run = self.trigger(**parameters)
        executing.execute(run.pk)
        run.refresh_from_db()
        return run

    def begun(self, **parameters: Any) -> tuple[Run, threading.Thread]:
        """A run that goes on in another thread, whose task `load` has begun."""
        run = self.trigger(**parameters)
        thread = threading.Thread(target=in_thread, args=(run.pk,))
        thread.start()
        wait_until(lambda: TaskRun.objects.filter(run=run, task_id="load", status="RUNNING").exists())
        return run, thread


def in_thread(run_id: uuid.UUID) -> None:
    try:
        executing.execute(run_id)
    finally:
        connection.close()


def wait_until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(run: Run) -> dict[str, str]:
    return dict(run.task_runs.order_by("position").values_list("task_id", "status"))
