"""What goes wrong in the platform's workers, where tasks run."""

from dagy_console.demo.frames import CELERY, HTTP, HTTP_CORE, REQUEST, S3
from dagy_console.demo.scenario import WORKER, Scenario
from dagy_console.demo.text import CAUSE, CONTEXT, Call, chained, grouped, raised

_EXECUTE_TASK = Call(
    "dagy/engine/worker.py", 112, "execute_task", "outcome = run_attempt(task, context)", "run_attempt(task, context)"
)
_ORDERS_TASK = (
    Call("dagy/engine/attempt.py", 58, "run_attempt", "value = task.fn(**inputs)", "task.fn(**inputs)"),
    Call(
        "dagy/flows/library/orders.py",
        27,
        "load_orders",
        'return sum(row["amount"] for row in rows) / len(rows)',
        'sum(row["amount"] for row in rows) / len(rows)',
    ),
)
_LEDGER_TASK = (
    _ORDERS_TASK[0],
    Call("dagy/flows/library/ledger.py", 64, "reconcile", "entry = ledger[row.account]", "ledger[row.account]"),
)

WORKER_SCENARIOS = (
    Scenario(
        name="task over its time",
        type="TaskTimeoutError",
        message="Task {task} exceeded timeout_seconds={seconds}",
        traceback=chained(
            raised(
                [
                    Call(
                        "dagy/engine/attempt.py",
                        73,
                        "run_attempt",
                        "return future.result(timeout=task.timeout_seconds)",
                        "future.result(timeout=task.timeout_seconds)",
                    ),
                    Call("py:concurrent/futures/_base.py", 458, "result", "raise TimeoutError()"),
                ],
                "TimeoutError",
            ),
            CAUSE,
            raised(
                [
                    *CELERY,
                    _EXECUTE_TASK,
                    Call(
                        "dagy/engine/attempt.py",
                        76,
                        "run_attempt",
                        "raise TaskTimeoutError(task.name, task.timeout_seconds) from error",
                    ),
                ],
                type_name="dagy.errors.TaskTimeoutError",
            ),
        ),
        method="POST",
        path="/runs/{run_id}/cancel",
        function=WORKER,
        weight=24,
        flow_ids=True,
    ),
    Scenario(
        name="artifact that cannot be stored",
        type="ArtifactSerializationError",
        message="Task {task} returned a set: return serializable data or a LocalArtifact",
        traceback=chained(
            raised(
                [
                    Call(
                        "dagy/engine/artifacts.py",
                        49,
                        "store",
                        "return json.dumps(value).encode()",
                        "json.dumps(value)",
                    ),
                    Call(
                        "py:json/__init__.py",
                        231,
                        "dumps",
                        "return _default_encoder.encode(obj)",
                        "_default_encoder.encode(obj)",
                    ),
                    Call(
                        "py:json/encoder.py",
                        200,
                        "encode",
                        "chunks = self.iterencode(o, _one_shot=True)",
                        "self.iterencode(o, _one_shot=True)",
                    ),
                    Call("py:json/encoder.py", 258, "iterencode", "return _iterencode(o, 0)", "_iterencode(o, 0)"),
                    Call(
                        "py:json/encoder.py",
                        180,
                        "default",
                        "raise TypeError(f'Object of type {o.__class__.__name__} '",
                    ),
                ],
                "TypeError: Object of type set is not JSON serializable\n"
                "while storing the output of the flow's last task\n"
                "hint: sorted(value) keeps a stable order",
            ),
            CAUSE,
            raised(
                [
                    *REQUEST,
                    Call(
                        "dagy/api/artifacts.py", 33, "put_artifact", "stored = store(task, value)", "store(task, value)"
                    ),
                    Call(
                        "dagy/engine/artifacts.py",
                        51,
                        "store",
                        "raise ArtifactSerializationError(task.name, type(value)) from error",
                    ),
                ],
                type_name="dagy.errors.ArtifactSerializationError",
            ),
        ),
        method="PUT",
        path="/artifacts",
        weight=7,
        body=lambda v: {"task": v["task"], "name": "output.json", "size": v["amount"]},
        flow_ids=True,
    ),
    Scenario(
        name="S3 asks to slow down",
        type="ClientError",
        message="An error occurred (SlowDown) when calling the PutObject operation (reached max retries: 4): "
        "Please reduce your request rate.",
        traceback=raised(
            [
                *CELERY,
                _EXECUTE_TASK,
                Call(
                    "dagy/engine/artifacts.py",
                    88,
                    "upload",
                    "s3.put_object(Bucket=bucket, Key=key, Body=data, ChecksumAlgorithm=SHA256)",
                ),
                *S3,
            ],
            type_name="botocore.exceptions.ClientError",
        ),
        function=WORKER,
        weight=9,
        flow_ids=True,
    ),
    Scenario(
        name="partner does not answer",
        type="ConnectTimeout",
        message="timed out",
        traceback=chained(
            raised(HTTP_CORE, "httpcore.ConnectTimeout: timed out"),
            CAUSE,
            raised(
                [
                    *CELERY,
                    Call("dagy/notify/tasks.py", 21, "deliver", "channel.send(message)"),
                    Call(
                        "dagy/notify/webhook.py",
                        57,
                        "send",
                        "answer = self.http.post(self.url, content=body, headers=signed)",
                        "self.http.post(self.url, content=body, headers=signed)",
                    ),
                    *HTTP,
                ],
                type_name="httpx.ConnectTimeout",
            ),
        ),
        function=WORKER,
        weight=10,
    ),
    Scenario(
        name="several tasks of a flow fail",
        type="ExceptionGroup",
        message="unhandled errors in a TaskGroup (3 sub-exceptions)",
        traceback=grouped(
            [
                *CELERY,
                Call(
                    "dagy/engine/runner.py",
                    201,
                    "execute_flow",
                    "asyncio.run(self._execute(graph))",
                ),
                Call("py:asyncio/runners.py", 190, "run", "return runner.run(main)", "runner.run(main)"),
                Call("dagy/engine/runner.py", 214, "_execute", "async with asyncio.TaskGroup() as group:"),
                Call("py:asyncio/taskgroups.py", 145, "__aexit__", "raise me from None"),
            ],
            "ExceptionGroup: {message}",
            [
                raised(_ORDERS_TASK, "ZeroDivisionError: division by zero\nno orders were found for the day"),
                chained(
                    raised(_LEDGER_TASK, "KeyError: 'ledger'"),
                    CONTEXT,
                    raised(
                        [
                            Call(
                                "dagy/engine/attempt.py",
                                61,
                                "run_attempt",
                                "raise TaskFailedError(task.name)",
                            )
                        ],
                        "dagy.errors.TaskFailedError: Task reconcile_ledger failed after 3 attempts",
                    ),
                ),
                raised(
                    [
                        Call(
                            "dagy/engine/attempt.py",
                            73,
                            "run_attempt",
                            "return future.result(timeout=task.timeout_seconds)",
                            "future.result(timeout=task.timeout_seconds)",
                        ),
                        Call("py:concurrent/futures/_base.py", 458, "result", "raise TimeoutError()"),
                    ],
                    "TimeoutError",
                ),
            ],
        ),
        function=WORKER,
        weight=6,
        flow_ids=True,
    ),
    Scenario(
        name="worker killed by the kernel",
        type="WorkerLostError",
        message="Worker exited prematurely: signal 9 (SIGKILL) Job: {job}.",
        traceback=raised(
            [Call("lib:billiard/pool.py", 1367, "mark_as_worker_lost", "raise WorkerLostError(")],
            type_name="billiard.exceptions.WorkerLostError",
        ),
        function=WORKER,
        weight=5,
        flow_ids=True,
    ),
)
