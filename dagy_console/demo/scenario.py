"""What a kind of trace is made from, and the values that differ between its occurrences."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

API = "dagy-api-prod"
WORKER = "dagy-worker-prod"

Values = Mapping[str, Any]

FLOWS = ("orders_daily", "ledger_close", "churn_scores", "inventory_sync", "invoice_export", "web_sessions")
TASKS = ("load_orders", "extract", "transform", "export", "reconcile_ledger", "score_customers", "publish")
SECRETS = ("warehouse", "stripe_live", "sftp_partner", "snowflake_rw")
SCOPES = ("billing", "analytics", "default")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One bug of the platform. `message` is filled with `Values`; `traceback` holds `{message}` where it is printed.

    `method` and `path` are None for work that no request started. `query` and `body` make the request's parts;
    `weight` says how common it is among the others; `flow_ids` adds run_id and task_id to the event.
    """

    name: str
    type: str
    message: str
    traceback: str
    method: str | None = None
    path: str | None = None
    function: str = API
    weight: int = 10
    query: Callable[[Values], dict[str, Any]] | None = None
    body: Callable[[Values], Any] | None = None
    flow_ids: bool = False


def draw_values(rng: Random) -> Values:
    """A fresh set of the ids, names and numbers that messages and bodies are filled with."""
    return {
        "run": rng.randint(51_000, 52_400),
        "run_id": f"run_{rng.getrandbits(48):012x}",
        "task_id": f"task_{rng.getrandbits(32):08x}",
        "flow": rng.choice(FLOWS),
        "task": rng.choice(TASKS),
        "upstream": rng.randint(4_000, 4_999),
        "seconds": rng.choice((120, 300, 300, 900)),
        "host": f"10.0.14.{rng.randint(4, 9)}",
        "secret": rng.choice(SECRETS),
        "scope": rng.choice(SCOPES),
        "clock": f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}",
        "process": rng.randint(1_200, 32_000),
        "other_process": rng.randint(1_200, 32_000),
        "job": rng.randint(2, 90),
        "schedule": rng.randint(100, 460),
        "rejected": rng.randint(3, 40),
        "amount": rng.randint(1, 9_999),
        "attempt": rng.randint(1, 4),
        "page": rng.randint(1, 30),
    }
