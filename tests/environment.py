"""Loaded before Django (`-p tests.environment`): the settings that the console has in tests."""

import os
from urllib.parse import urlsplit, urlunsplit


def _prepare_console() -> None:
    """Give each parallel test process a Redis database of its own, and the console its settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    parts = urlsplit(os.environ["REDIS_URL"])
    number = int(parts.path.strip("/") or 0) + 1 + int(worker.removeprefix("gw")) % 14
    os.environ["REDIS_URL"] = urlunsplit(parts._replace(path=f"/{number}"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "dagy_console.settings"
    os.environ.setdefault("DAGY_SECRET_KEY", "tests-" + "0123456789" * 5)
    os.environ["DAGY_DEMO"] = "1"
    # Mails stay in the outbox; the tests of sending them name a server of their own.
    os.environ["DAGY_EMAIL_URL"] = "smtp://127.0.0.1:9"
    os.environ["DAGY_REQUIRE_MFA"] = "0"
    os.environ["DAGY_LOG_LEVEL"] = "WARNING"


# Tests of the SDK run without a server, and without Django.
if "DATABASE_URL" in os.environ:
    _prepare_console()
