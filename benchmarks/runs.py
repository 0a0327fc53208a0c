"""What runs on the server cost: how soon they begin, what their tasks and their log take, how soon they are gone, and
how fast their pages answer beside many others.

    python -m embedded shell -- python benchmarks/runs.py [--runs 1000000] [--lines 1000000] [--times 50] [--only TEXT]

One worker (`-Q runs`, four threads) on this machine, with a database and a bucket of its own. `begins`: from the row of
the run to the start of its first task, by the clock of one machine. `100 tasks`: the run's own time, beside the same
flow by `run_local()` here, and a chord of 100 by Celery on the same broker. `gone`: from the request to the run's final
state, which is written when its process has ended. `lost`: the worker killed with SIGKILL, until another
has told of it. Pages are asked through Django's test client as a super admin. Prints a table and, at the end, JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console import count_days, machine, open_console, percentile, signed_in_super_admin

ROOT = Path(__file__).resolve().parents[1]
FLOWS = """
import logging, signal, threading, time
from dagy import flow, task

@task
def noop(after=None): ...

@flow
def one():
    noop()

@flow
def hundred():
    for _ in range(100):
        noop()

@task
def talk(lines: int):
    log = logging.getLogger("app")
    for line in range(lines):
        log.info("line %d of a log as flows write it, with a few words more", line)

@flow
def talkative(lines: int):
    talk(lines)

@task
def sleep():
    time.sleep(600)

@flow
def sleeps():
    sleep()

@flow
def stubborn(seconds: float):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)
"""
LOCAL = """
import time
from flows import hundred
hundred.run_local()
began = time.perf_counter()
hundred.run_local()
print(time.perf_counter() - began)
"""
CHORD = """
import os, sys, time
from celery import Celery, chord
app = Celery("chord", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.task_default_queue = "bench-chord"

@app.task
def noop(*_): ...

def measure():
    chord([noop.s() for _ in range(100)])(noop.si()).get(timeout=60)
    began = time.perf_counter()
    chord([noop.s() for _ in range(100)])(noop.si()).get(timeout=60)
    print(time.perf_counter() - began)
"""
ROWS = """
INSERT INTO runs_run (id, organization_id, flow_id, deployment_id, status, reason, trigger, triggered_by, parameters,
  created_at, started_at, ended_at, error_type, worker, log_lines, task_count, succeeded_count, executions,
  reuses_outputs, queue)
SELECT gen_random_uuid(), %(org)s, %(flow)s, %(deployment)s,
  CASE WHEN n %% 20 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END,
  CASE WHEN n %% 20 = 0 THEN 'task load ended FAILED' ELSE '' END,
  'api', 'bob@blue.example', '{}', now() - n * interval '2 seconds', now() - n * interval '2 seconds',
  now() - n * interval '2 seconds' + interval '1 second', CASE WHEN n %% 20 = 0 THEN 'LookupError' ELSE '' END,
  'host:1', 10, 5, 5, 1, false, 'default'
FROM generate_series(1, %(count)s) n
"""
LINES = """
INSERT INTO runs_logline (run_id, sequence, time, level, task_id, message)
SELECT %(run)s, n, now(), CASE WHEN n %% 100000 = 77777 THEN 'ERROR' WHEN n %% 1000 = 0 THEN 'WARNING' ELSE 'INFO' END,
  'load-' || n %% 500, 'line ' || n || ' of a log as flows write it, with a few words more'
FROM generate_series(1, %(count)s) n
"""
TASKS = """
INSERT INTO runs_taskrun (run_id, task_id, position, name, status, depends_on, attempts, started_at, ended_at,
  duration_seconds, error_type, reason, artifacts)
SELECT %(run)s, 'load-' || n, n, 'load', CASE WHEN n = 321 THEN 'FAILED' ELSE 'SUCCEEDED' END, '["extract"]', '[]',
  now() - interval '60 s', now(), 60, '', '', '[]'
FROM generate_series(0, 499) n
"""


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        from dagy_console.accounts.services.people import create_organization
        from dagy_console.core.actors import SYSTEM
        from dagy_console.runs.services import deploying

        self.options = options
        self.figures: dict[str, Any] = {}
        self.actor = SYSTEM
        create_organization(actor=SYSTEM, org_id="org_bench", name="Bench")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("flows.py", FLOWS)
        data = buffer.getvalue()
        for flow in ("one", "hundred", "talkative", "sleeps", "stubborn"):
            deploying.deploy(
                actor=SYSTEM,
                org_id="org_bench",
                bundle=data,
                sha256=hashlib.sha256(data).hexdigest(),
                entrypoint=f"flows.py:{flow}",
            )

    def tell(self, name: str, unit: str, **values: float) -> None:
        self.figures[name] = {key: round(value, 4) for key, value in values.items()} | {"unit": unit}
        print(f"{name:<44} {'  '.join(f'{key} {value:,.3f}' for key, value in values.items())} {unit}", flush=True)

    def start(self, flow: str, **parameters: Any) -> Any:
        from dagy_console.runs.services import triggering

        return triggering.trigger(actor=self.actor, org_id="org_bench", flow=flow, parameters=parameters)

    def finish(self, flow: str, **parameters: Any) -> Any:
        run = self.start(flow, **parameters)
        self.wait(run, lambda: run.is_final)
        return run

    def wait(self, run: Any, done: Callable[[], bool], *, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while True:
            run.refresh_from_db()
            if done():
                return
            assert time.monotonic() < deadline, f"{run.flow} is {run.status}: {run.reason}"
            time.sleep(0.02)

    def begins(self) -> None:
        self.finish("one")
        taken = []
        for _ in range(self.options.times):
            run = self.finish("one")
            taken.append((run.task_runs.get().started_at - run.created_at).total_seconds())
        self.tell("begins: trigger to first task", "s", p50=percentile(taken, 50), p95=percentile(taken, 95))

    def tasks(self) -> None:
        taken = []
        for _ in range(10):
            run = self.finish("hundred")
            times = list(run.task_runs.values_list("started_at", "ended_at"))
            taken.append((max(end for _, end in times) - min(start for start, _ in times)).total_seconds())
        self.tell("100 tasks: on the server", "s", p50=percentile(taken, 50))
        with tempfile.TemporaryDirectory() as name:
            Path(name, "flows.py").write_text(FLOWS)
            Path(name, "chord_bench.py").write_text(CHORD)
            environment = os.environ | {"PYTHONPATH": f"{name}:{ROOT}", "DAGY_LOCAL_DIR": f"{name}/dagy"}
            command = [sys.executable, "-c", LOCAL]
            local = [float(_output(command, environment)) for _ in range(5)]
            self.tell("100 tasks: run_local()", "s", p50=percentile(local, 50))
            command = [sys.executable, "-m", "celery", "-A", "chord_bench", "worker", "--pool=threads", "-c", "4"]
            measure = [sys.executable, "-c", "import chord_bench; chord_bench.measure()"]
            with _process([*command, "-Q", "bench-chord"], environment):
                chords = [float(_output(measure, environment)) for _ in range(3)]
            self.tell("100 tasks: Celery's chord", "s", p50=percentile(chords, 50))

    def log(self) -> None:
        lines = 100_000
        rates = []
        for _ in range(5):
            run = self.finish("talkative", lines=lines)
            rates.append(lines / (run.ended_at - run.started_at).total_seconds())
        self.tell("log: lines into the database", "lines/s", median=percentile(rates, 50))

    def gone(self) -> None:
        from dagy_console.runs.models import LogLine
        from dagy_console.runs.services import cancelling

        for flow, times, parameters in (("sleeps", 10, {}), ("stubborn", 3, {"seconds": 600})):
            taken = []
            for _ in range(times):
                run = self.start(flow, **parameters)
                self.wait(run, lambda: LogLine.objects.filter(run=run).exists())  # noqa: B023
                time.sleep(0.5)
                began = time.monotonic()
                cancelling.cancel(actor=self.actor, run_id=run.pk)
                self.wait(run, lambda: run.is_final)  # noqa: B023
                taken.append(time.monotonic() - began)
            self.tell(f"gone: cancel of a run that {flow}", "s", p50=percentile(taken, 50), p95=percentile(taken, 95))

    def lost(self, kill: Callable[[], None]) -> None:
        taken = []
        for _ in range(3):
            run = self.start("sleeps")
            self.wait(run, lambda: run.log_lines > 1)  # noqa: B023
            began = time.monotonic()
            kill()
            self.wait(run, lambda: run.is_final)  # noqa: B023
            assert run.error_type == "WorkerLost", run.reason
            taken.append(time.monotonic() - began)
        self.tell("lost: worker killed to final state", "s", median=percentile(taken, 50), longest=max(taken))

    def pages(self) -> None:
        from django.db import connection

        from dagy_console.runs.models import Flow, Run

        flow = Flow.objects.select_related("latest").get(name="one")
        keys = {"org": "org_bench", "flow": flow.pk, "deployment": flow.latest_id}
        with connection.cursor() as cursor:
            cursor.execute(ROWS, keys | {"count": self.options.runs})
            run = Run.objects.create(
                organization_id="org_bench", flow=flow, deployment=flow.latest, status="FAILED", trigger="api",
                triggered_by="bob", parameters={}, log_lines=self.options.lines, task_count=500, succeeded_count=499,
                failure={"task_id": "load-321", "attempt": 1, "error_type": "LookupError", "message": "no such table"},
            )  # fmt: skip
            Run.objects.filter(pk=run.pk).update(started_at=run.created_at, ended_at=run.created_at)
            cursor.execute(TASKS, {"run": run.pk})
            cursor.execute(LINES, {"run": run.pk, "count": self.options.lines})
            cursor.execute("VACUUM ANALYZE runs_run, runs_taskrun, runs_logline")
        count_days()
        client = signed_in_super_admin()
        page, middle = f"/console/runs/{run.pk}/", self.options.lines // 2
        for name, path in {
            "run, 500 tasks": page,
            "log, end": f"{page}log/",
            "log, a line of the middle": f"{page}log/?line={middle}",
            "log, errors": f"{page}log/?level=ERROR",
            "log, one task": f"{page}log/?task=load-321",
            "log, a rare text": f"{page}log/?q=line+{middle}+of",
            "graph, 500 tasks": f"{page}graph/",
            "list, whole page": "/console/runs/",
            "list, API page": "/runs",
            "list, API, failed": "/runs?status=FAILED",
            "list, whole page, one error": "/console/runs/?q=error:LookupError",
        }.items():
            taken = []
            for _ in range(10 + self.options.calls):
                began = time.perf_counter()
                assert client.get(path).status_code == 200, path
                taken.append((time.perf_counter() - began) * 1000)
            taken = taken[10:]
            self.tell(f"pages: {name}", "ms", p50=percentile(taken, 50), p95=percentile(taken, 95))


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def _started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    return subprocess.Popen(command, env=environment, cwd=ROOT, **quiet)  # type: ignore[call-overload,no-any-return]


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = _started(command, environment)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with open_console() as database:
        os.environ["DAGY_ARTIFACTS_BUCKET"] = os.environ["DAGY_TRACES_BUCKET"]
        from django.conf import settings

        settings.ARTIFACTS_BUCKET = os.environ["DAGY_ARTIFACTS_BUCKET"]
        print(f"in {database}", flush=True)
        _measure(Bench(options), options.only)


def _measure(bench: Bench, only: str) -> None:
    celery = [sys.executable, "-m", "celery", "-A", "dagy_console", "worker", "--pool=threads", "--loglevel=error"]
    runs = [*celery, "-Q", "runs", "-c", "4", "--without-gossip", "--without-mingle"]
    beats = f"{tempfile.gettempdir()}/bench-beat-{os.getpid()}"
    beat = [*celery, "-Q", "celery", "-c", "2", "-B", "--schedule", beats, "-n", "beat@%h"]
    with _process([*runs, "-n", "first@%h"], dict(os.environ)) as first, _process(beat, dict(os.environ)):
        for case in (bench.begins, bench.tasks, bench.log, bench.gone):
            if only in case.__name__:
                case()
        if only in "lost":
            workers = [first]

            def kill() -> None:
                os.killpg(workers[-1].pid, signal.SIGKILL)
                workers.append(_started([*runs, "-n", f"n{len(workers)}@%h"], dict(os.environ)))

            try:
                bench.lost(kill)
            finally:
                for worker in workers[1:]:
                    worker.kill()
    if only in "pages":
        bench.pages()
    print(json.dumps({"machine": machine(), "figures": bench.figures}))


if __name__ == "__main__":
    main()
