"""Structured logs: one JSON object a line (DAGY_LOG_FORMAT=console: readable lines), each with the request id."""

import logging
import logging.config
import re
from collections.abc import MutableMapping
from typing import Any

import structlog
from django.conf import settings

from dagy.capture.scrub import Scrubber

_scrubber = Scrubber()
# What a mailed link holds opens an account, or an organization, to who reads it.
_MAILED = re.compile(r"(/accounts/(?:password/reset/[^/\s]+|invitations)/)[^/\s]+")


def configure(_: MutableMapping[str, Any]) -> None:
    """Called by Django at start (settings.LOGGING_CONFIG)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = settings.LOG_FORMAT == "console"
    # The plain traceback: the usual one shows the values of all variables.
    readable = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    renderer = readable if console else structlog.processors.JSONRenderer()
    final = [_without_request, _without_links, structlog.processors.format_exc_info, _scrubbed, renderer]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
                    "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder()],
                }
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "structured"},
                "nowhere": {"class": "logging.NullHandler"},
            },
            "root": {"handlers": ["stderr"], "level": settings.LOG_LEVEL},
            # Django has put handlers of its own on these by now.
            "loggers": {
                "django": {"handlers": [], "level": settings.LOG_LEVEL},
                # The development server's own request lines hold the query; `request` says the same without it.
                "django.server": {"handlers": ["nowhere"], "propagate": False},
                "botocore": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _without_request(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Django hands the request over, whose text holds the query: what was searched for is nobody's here."""
    event.pop("request", None)
    return event


def _without_links(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in ("event", "path"):
        if isinstance(event.get(name), str):
            event[name] = _MAILED.sub(r"\1…", event[name])
    return event


def _scrubbed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Tracebacks quote what failed, and that may be a secret."""
    if isinstance(event.get("exception"), str):
        event["exception"] = _scrubber.text(event["exception"], [0])
    return event
