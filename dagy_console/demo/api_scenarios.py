"""What goes wrong in the platform's API."""

from typing import Any

from dagy_console.demo.frames import CONNECT, CREATE, DRIVER, FETCH, REQUEST
from dagy_console.demo.scenario import Scenario, Values
from dagy_console.demo.text import CAUSE, CONTEXT, Call, chained, raised


def _trigger(v: Values) -> dict[str, Any]:
    return {
        "flow": v["flow"],
        "deployment": f"{v['flow']}@{v['upstream'] % 40}",
        "parameters": {"day": "yesterday", "limit": v["amount"], "dry_run": False},
        "token": "[Filtered]",
    }


DUPLICATE_RUN = Scenario(
    name="duplicate run id",
    type="IntegrityError",
    message='duplicate key value violates unique constraint "runs_pkey"\nDETAIL:  Key (id)=({run}) already exists.',
    traceback=chained(
        raised(DRIVER, type_name="psycopg.errors.UniqueViolation"),
        CAUSE,
        raised(
            [
                *REQUEST,
                Call(
                    "dagy/api/runs.py",
                    88,
                    "create_run",
                    "run = trigger_run(actor=request.actor, flow=flow, parameters=body.parameters)",
                    "trigger_run(actor=request.actor, flow=flow, parameters=body.parameters)",
                ),
                Call(
                    "dagy/runs/services/trigger.py",
                    41,
                    "trigger_run",
                    "return Run.objects.create(id=next_run_id(flow.shard), flow=flow, parameters=parameters)",
                    "Run.objects.create(id=next_run_id(flow.shard), flow=flow, parameters=parameters)",
                ),
                *CREATE,
            ],
            type_name="django.db.utils.IntegrityError",
        ),
    ),
    method="POST",
    path="/runs",
    weight=0,
    body=_trigger,
)

API_SCENARIOS = (
    Scenario(
        name="database unreachable",
        type="OperationalError",
        message='connection failed: connection to server at "{host}", port 5432 failed: timeout expired',
        traceback=chained(
            raised(CONNECT[-1:], type_name="psycopg.errors.ConnectionTimeout"),
            CAUSE,
            raised(
                [
                    *REQUEST,
                    Call(
                        "dagy/api/flows.py",
                        34,
                        "list_flows",
                        "return page_of(Flow.objects.visible_to(request.actor), cursor=cursor, limit=limit)",
                        "page_of(Flow.objects.visible_to(request.actor), cursor=cursor, limit=limit)",
                    ),
                    Call(
                        "dagy/core/paging.py",
                        57,
                        "page_of",
                        "rows = list(queryset[: limit + 1])",
                        "list(queryset[: limit + 1])",
                    ),
                    *FETCH[:2],
                    *CONNECT,
                ],
                type_name="django.db.utils.OperationalError",
            ),
        ),
        method="GET",
        path="/flows",
        weight=22,
        query=lambda v: {"limit": "50", "cursor": f"eyJpZCI6{v['upstream']}fQ"},
    ),
    Scenario(
        name="deadlock on schedules",
        type="OperationalError",
        message="deadlock detected\nDETAIL:  Process {process} waits for ShareLock on transaction {upstream}; "
        "blocked by process {other_process}.\nHINT:  See server log for query details.",
        traceback=chained(
            raised(DRIVER, type_name="psycopg.errors.DeadlockDetected"),
            CAUSE,
            raised(
                [
                    *REQUEST,
                    Call(
                        "dagy/api/schedules.py",
                        61,
                        "pause_schedule",
                        "schedule = schedules.pause(actor=request.actor, schedule_id=schedule_id)",
                        "schedules.pause(actor=request.actor, schedule_id=schedule_id)",
                    ),
                    Call(
                        "dagy/runs/services/schedules.py",
                        118,
                        "pause",
                        "rows = list(Schedule.objects.select_for_update().filter(flow_id=flow_id))",
                        "list(Schedule.objects.select_for_update().filter(flow_id=flow_id))",
                    ),
                    *FETCH,
                ],
                type_name="django.db.utils.OperationalError",
            ),
        ),
        method="PATCH",
        path="/schedules/{id}",
        weight=6,
        body=lambda v: {"id": v["schedule"], "paused": True},
    ),
    Scenario(
        name="missing ledger",
        type="KeyError",
        message="'ledger'",
        traceback=raised(
            [
                *REQUEST,
                Call(
                    "dagy/api/schedules.py",
                    29,
                    "list_schedules",
                    "return [serialize(row, owners) for row in rows]",
                    "serialize(row, owners)",
                ),
                Call(
                    "dagy/runs/serializers.py",
                    74,
                    "serialize",
                    'return ScheduleOut(id=row.id, cron=row.cron, owner=owners[row.flow.labels["team"]])',
                    'owners[row.flow.labels["team"]]',
                ),
            ],
            type_name="KeyError",
        ),
        method="GET",
        path="/schedules",
        weight=10,
        query=lambda v: {"status": ["active", "paused"], "page": str(v["page"])},
    ),
    Scenario(
        name="secret out of scope",
        type="PermissionError",
        message="secret {secret} not found in scope {scope}",
        traceback=chained(
            raised(
                [
                    Call(
                        "dagy/runs/services/secrets.py",
                        52,
                        "read_secret",
                        "row = Secret.objects.get(scope=scope, name=name)",
                        "Secret.objects.get(scope=scope, name=name)",
                    ),
                    Call(
                        "lib:django/db/models/manager.py",
                        87,
                        "manager_method",
                        "return getattr(self.get_queryset(), name)(*args, **kwargs)",
                        "getattr(self.get_queryset(), name)(*args, **kwargs)",
                    ),
                    Call("lib:django/db/models/query.py", 635, "get", "raise self.model.DoesNotExist("),
                ],
                "dagy.runs.models.Secret.DoesNotExist: Secret matching query does not exist.",
            ),
            CONTEXT,
            raised(
                [
                    *REQUEST,
                    Call(
                        "dagy/api/secrets.py",
                        38,
                        "get_secret",
                        "secret = read_secret(actor=request.actor, scope=scope, name=name)",
                        "read_secret(actor=request.actor, scope=scope, name=name)",
                    ),
                    Call(
                        "dagy/runs/services/secrets.py",
                        54,
                        "read_secret",
                        'raise PermissionError(f"secret {name} not found in scope {scope}")',
                    ),
                ],
                type_name="PermissionError",
            ),
        ),
        method="GET",
        path="/secrets/{name}",
        weight=8,
        query=lambda v: {"scope": v["scope"]},
    ),
    Scenario(
        name="webhook without JSON",
        type="JSONDecodeError",
        message="Expecting value: line 1 column 1 (char 0)",
        traceback=raised(
            [
                *REQUEST,
                Call(
                    "dagy/api/webhooks.py",
                    25,
                    "receive",
                    "payload = json.loads(request.body)",
                    "json.loads(request.body)",
                ),
                Call(
                    "py:json/__init__.py",
                    346,
                    "loads",
                    "return _default_decoder.decode(s)",
                    "_default_decoder.decode(s)",
                ),
                Call(
                    "py:json/decoder.py",
                    337,
                    "decode",
                    "obj, end = self.raw_decode(s, idx=_w(s, 0).end())",
                    "self.raw_decode(s, idx=_w(s, 0).end())",
                ),
                Call(
                    "py:json/decoder.py",
                    355,
                    "raw_decode",
                    'raise JSONDecodeError("Expecting value", s, err.value) from None',
                ),
            ],
            type_name="json.decoder.JSONDecodeError",
        ),
        method="POST",
        path="/webhooks/{token}",
        weight=9,
        body=lambda v: f"event=flow.updated&flow={v['flow']}&delivery={v['upstream']}",
    ),
    Scenario(
        name="expired token",
        type="TokenExpired",
        message="access token expired at {clock}",
        traceback=raised(
            [
                REQUEST[0],
                Call(
                    "dagy/accounts/middleware.py",
                    44,
                    "__call__",
                    "request.actor = resolve_actor(request.headers)",
                    "resolve_actor(request.headers)",
                ),
                Call("dagy/accounts/tokens.py", 83, "resolve_actor", "raise TokenExpired(token.expires_at)"),
            ],
            type_name="dagy.accounts.errors.TokenExpired",
        ),
        method="GET",
        path="/me",
        weight=12,
    ),
)
