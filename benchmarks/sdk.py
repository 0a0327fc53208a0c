"""What the SDK costs: its import, a run's start, and each task, beside a bare thread pool that writes the same files.

    .local/venv/bin/python benchmarks/sdk.py
    .local/venv/bin/python benchmarks/sdk.py --prefect /path/to/venv   # pip install prefect==3.8.8 "fastapi==0.139.*"

Each case is a process of its own with an empty HOME; they take turns, and the medians are told. `floor` is a
`ThreadPoolExecutor` that writes what the local layout asks for: a log, metadata at start and end, the output. Prefect
runs against a server of its own (SQLite, default settings), started anew for each case, with `.submit()`.
`run` is the flow's own wall time, `process` that of the whole cold process, `peak` the memory of all its processes.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 4
PORT = 4377

FLOOR = """
import json, os, pathlib, sys, time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
shape, n = sys.argv[1], int(sys.argv[2])
root = pathlib.Path(os.environ["HOME"]) / ".dagy" / "runs" / "run"

def noop(i):
    d = root / "task_runs" / f"t{i}"
    d.mkdir(parents=True)
    out = root.parent.parent / "artifacts" / "run" / f"t{i}"
    out.mkdir(parents=True)
    with open(d / "task.log", "a") as log:
        for state in ("RUNNING", "SUCCEEDED"):
            tmp = d / "metadata.json.tmp"
            tmp.write_text(json.dumps({"task_id": f"t{i}", "status": state, "at": time.time()}))
            tmp.replace(d / "metadata.json")
            log.write(f"{time.time()} INFO {state}\\n")
    (out / "output.json").write_text(json.dumps(i))
    return i

began = time.perf_counter()
needs = {i: ({i - 1} if shape == "chain" and i else set()) for i in range(n)}
users = {i: ([i + 1] if shape == "chain" and i + 1 < n else []) for i in range(n)}
with ThreadPoolExecutor(4) as pool:
    live = {pool.submit(noop, i): i for i in needs if not needs[i]}
    while live:
        for f in wait(live, return_when=FIRST_COMPLETED).done:
            i = live.pop(f)
            f.result()
            for u in users[i]:
                needs[u].discard(i)
                if not needs[u]:
                    live[pool.submit(noop, u)] = u
print("BENCH", time.perf_counter() - began)
"""

DAGY = """
import sys, time
from dagy import flow, task

@task
def noop(x=None):
    return 1

@flow
def bench(shape, n):
    x = None
    for _ in range(n):
        x = noop(x) if shape == "chain" else noop()

began = time.perf_counter()
bench.run_local(shape=sys.argv[1], n=int(sys.argv[2]))
print("BENCH", time.perf_counter() - began)
"""

PREFECT = """
import sys, time
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

@task
def noop(x=None):
    return 1

@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def bench(shape, n):
    if shape == "chain":
        x = None
        for _ in range(n):
            x = noop.submit(x)
        x.result()
    else:
        for f in [noop.submit() for _ in range(n)]:
            f.result()

began = time.perf_counter()
bench(sys.argv[1], int(sys.argv[2]))
print("BENCH", time.perf_counter() - began)
"""

CASES = {"one task": ("indep", 1), "1,000 independent": ("indep", 1000), "chain of 1,000": ("chain", 1000)}


def environment(home: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"HOME": home, "PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "1", "PREFECT_HOME": f"{home}/prefect"}


def measured(command: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of the process, of its run, and peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{command[:2]} failed with {os.waitstatus_to_exitcode(status)}")
    told = [line.split()[1] for line in output.splitlines() if line.startswith("BENCH ")]
    return seconds, float(told[0]) if told else 0.0, usage.ru_maxrss / 1024


def cold(python: str, code: str, shape: str, n: int, extra: dict[str, str] | None = None) -> tuple[float, float, float]:
    home = tempfile.mkdtemp(dir=Path.home())
    try:
        return measured([python, "-c", code, shape, str(n)], environment(home) | (extra or {}))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def median(rows: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    process, run, peak = zip(*rows, strict=True)
    return statistics.median(process), statistics.median(run), max(peak)


def imports(rounds: int) -> None:
    statements = {
        "python": "pass",
        "import dagy": "import dagy",
        "from dagy import flow, task": "from dagy import flow, task",
    }
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(rounds * 3):
        for name, code in statements.items():
            times[name].append(measured([sys.executable, "-c", code], environment("/nowhere"))[0])
    bare = statistics.median(times["python"])
    for name, found in times.items():
        print(
            f"{name:32} {statistics.median(found) * 1000:6.0f} ms   +{(statistics.median(found) - bare) * 1000:.0f} ms"
        )


def tasks(rounds: int) -> None:
    print(f"\n{'':20} {'':8} {'process':>10} {'run':>10} {'a task':>10} {'peak':>8} {'of floor':>9}")
    for case, (shape, n) in CASES.items():
        rows: dict[str, list[tuple[float, float, float]]] = {"floor": [], "dagy": []}
        for _ in range(rounds):
            rows["floor"].append(cold(sys.executable, FLOOR, shape, n))
            rows["dagy"].append(cold(sys.executable, DAGY, shape, n))
        floor = median(rows["floor"])
        for name, found in rows.items():
            process, run, peak = median(found)
            print(
                f"{case:20} {name:8} {process:8.3f} s {run:8.3f} s {run / n * 1000:7.2f} ms {peak:5.0f} MB "
                f"{run / floor[1]:8.2f}x"
            )


def prefect(venv: Path, rounds: int) -> None:
    for case, (shape, n) in CASES.items():
        home = tempfile.mkdtemp(dir=Path.home())
        extra = {"PREFECT_HOME": f"{home}/prefect", "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api"}
        server = subprocess.Popen(
            [str(venv / "bin" / "prefect"), "server", "start", "--port", str(PORT)],
            env=environment(home) | extra,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{PORT}/api/health")
            rows = [cold(str(venv / "bin" / "python"), PREFECT, shape, n, extra) for _ in range(rounds)]
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)
            shutil.rmtree(home, ignore_errors=True)
        process, run, peak = median(rows)
        print(f"{case:20} {'prefect':8} {process:8.3f} s {run:8.3f} s {run / n * 1000:7.2f} ms {peak:5.0f} MB")


def wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def listing(count: int, rounds: int) -> None:
    """`dagy runs list` as a whole process, with the index up to date."""
    home = tempfile.mkdtemp(dir=Path.home())
    try:
        made = measured([sys.executable, "-c", DAGY, "indep", "3"], environment(home))
        assert made[1] > 0
        multiply(Path(home, ".dagy", "runs"), count)
        command = [sys.executable, "-m", "dagy", "runs", "list"]
        first = measured(command, environment(home))[0]
        rest = sorted(measured(command, environment(home))[0] for _ in range(rounds * 4))
        bare = statistics.median(measured([sys.executable, "-c", "pass"], environment(home))[0] for _ in range(rounds))
        print(
            f"\ndagy runs list over {count:,} runs: {statistics.median(rest) * 1000:.0f} ms "
            f"(of which Python's start {bare * 1000:.0f}); the first time, without an index, {first:.1f} s"
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def multiply(runs: Path, count: int) -> None:
    (original,) = runs.iterdir()
    record = json.loads((original / "metadata.json").read_text())
    for n in range(count - 1):
        run_id = f"{original.name[:23]}-{n:012x}"
        (runs / run_id).mkdir()
        (runs / run_id / "metadata.json").write_text(json.dumps(record | {"run_id": run_id}))
    (runs.parent / "index.db").unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prefect", type=Path, metavar="VENV")
    parser.add_argument("--runs", type=int, default=10_000, help="for `dagy runs list`")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    imports(arguments.rounds)
    tasks(arguments.rounds)
    if arguments.prefect:
        prefect(arguments.prefect, max(1, arguments.rounds // 2))
    listing(arguments.runs, arguments.rounds)


if __name__ == "__main__":
    main()
