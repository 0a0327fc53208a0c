"""The traces that the stack begins with: three organizations, four types, one rich trace."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.console import Bucket

ORGANIZATIONS = ("org_blue", "org_red", "org_green")
TYPES = ("ValueError", "TimeoutError", "KeyError", "ConnectionError")
COUNT = 120
RICH = "req-rich"
CHAINED = """Traceback (most recent call last):
  File "/srv/app/dagy/ledger.py", line 31, in balance
    return accounts[name]
           ~~~~~~~~^^^^^^
KeyError: 'ledger'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/django/core/handlers/exception.py", line 55, in inner
    response = get_response(request)
               ^^^^^^^^^^^^^^^^^^^^^
  File "/srv/venv/lib/python3.11/site-packages/django/core/handlers/base.py", line 197, in _get_response
    response = wrapped_callback(request, *callback_args, **callback_kwargs)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/app/dagy/api/invoices.py", line 88, in create_invoice
    total = balance("ledger")
            ^^^^^^^^^^^^^^^^^
dagy.errors.LedgerError: the ledger of org_blue has no account
"""


def seed(bucket: Bucket) -> None:
    """Write `COUNT` plain traces and the rich one, which is the newest.

    Six are of the last minutes, the others older than two hours, ten minutes apart: the tests may take three quarters
    of an hour until one leaves its hour.
    """
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda fields: bucket.put(**fields), [*_plain(), _rich()]))


def _plain() -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "org": ORGANIZATIONS[index % 3],
            "at": now - timedelta(minutes=1 + 2 * index if index < 6 else 80 + 10 * index),
            "request_id": f"req-{index:03d}",
            "exception_type": TYPES[index % 4],
            "exception_message": f"invoice {index} could not be booked",
            "http_method": "GET" if index % 5 == 0 else "POST",
            "http_path": f"/runs/{index % 10}",
        }
        for index in range(COUNT)
    ]


def _rich() -> dict[str, Any]:
    return {
        "org": "org_blue",
        "at": datetime.now(UTC) - timedelta(seconds=30),
        "request_id": RICH,
        "exception_type": "LedgerError",
        "exception_message": "the ledger of org_blue has no account",
        "traceback": CHAINED,
        "http_path": "/invoices",
        "event": {
            "headers": {"user-agent": "dagy-sdk/0.1", "x-shop": "Zürich"},
            "query": {"dry_run": "1"},
            "body": {"customer": {"name": "Blue Analytics", "tier": "gold"}, "lines": [{"sku": "A-1", "count": 3}]},
        },
    }
