"""Loaded before Django (`-p tests.environment`): gives each parallel test process a Redis database of its own."""

import os
from urllib.parse import urlsplit, urlunsplit

if "DATABASE_URL" not in os.environ:
    raise SystemExit("Run the tests with `make test`: it starts the servers that they need.")

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
_parts = urlsplit(os.environ["REDIS_URL"])
_number = int(_parts.path.strip("/") or 0) + 1 + int(_worker.removeprefix("gw")) % 14
os.environ["REDIS_URL"] = urlunsplit(_parts._replace(path=f"/{_number}"))
os.environ.setdefault("DAGY_SECRET_KEY", "tests-" + "0123456789" * 5)
os.environ["DAGY_DEMO"] = "1"
# Mails stay in the outbox; the tests of sending them name a server of their own.
os.environ["DAGY_EMAIL_URL"] = "smtp://127.0.0.1:9"
os.environ["DAGY_REQUIRE_MFA"] = "0"
os.environ["DAGY_LOG_LEVEL"] = "WARNING"
