"""A wrong variable is told at the start, by its name and with what to write instead."""

import json
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


# Importing what the console stands on is most of a start: each case is a fork of a process that has done it.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["boto3", "celery", "cryptography.fernet", "django.core.management", "jwt", "psycopg"])


def _run(*command: str, **changes: str) -> tuple[int, str]:
    """The exit code and the error output of a Python program with `changes` to a sound environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DAGY_")}
    environment |= {"DAGY_SECRET_KEY": "k" * 50, "DAGY_TRACES_BUCKET": "traces"} | changes
    with tempfile.NamedTemporaryFile("r") as errors:
        process = _FORKS.Process(target=_program, args=(command, environment, errors.name))
        process.start()
        process.join(60)
        assert process.exitcode is not None
        return process.exitcode, errors.read()


def _program(command: tuple[str, ...], environment: dict[str, str], errors: str) -> None:
    """Runs in the fork, as `python command…` does."""
    with open(errors, "w") as output:
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = list(command)
    if command[0] == "-c":
        exec(command[1], {"__name__": "__main__"})
    else:
        runpy.run_path(command[0], run_name="__main__")


def _check(**changes: str) -> tuple[int, str]:
    return _run("manage.py", "check", **changes)


def test_a_sound_environment_passes_without_a_word() -> None:
    assert _check() == (0, "")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is not set: the console keeps its index and its audit log in PostgreSQL."),
        ("DATABASE_URL", "mysql://me@host/name", "DATABASE_URL must look like postgresql://user:password@host:5432/"),
        ("REDIS_URL", "", "REDIS_URL is not set: Celery and the cache need a Redis."),
        ("DAGY_SECRET_KEY", "", "DAGY_SECRET_KEY is not set: it signs sessions and cursors;"),
        ("DAGY_DEBUG", "maybe", "DAGY_DEBUG='maybe' is neither true nor false: write 1 or 0."),
        ("DAGY_TRUSTED_PROXIES", "-1", "DAGY_TRUSTED_PROXIES='-1' must be a whole number from 0 to 10."),
        ("DAGY_LOG_FORMAT", "xml", "DAGY_LOG_FORMAT='xml' must be one of json, console."),
        ("DAGY_LOG_LEVEL", "loud", "DAGY_LOG_LEVEL='loud' must be one of INFO, DEBUG, WARNING, ERROR, CRITICAL."),
        ("DAGY_RECONCILE_SECONDS", "0", "DAGY_RECONCILE_SECONDS='0' must be a whole number from 1 to 3600."),
    ],
)
def test_a_wrong_variable_is_refused_with_one_clear_message(variable: str, value: str, message: str) -> None:
    code, errors = _check(**{variable: value})
    assert code != 0
    assert errors.count(message) == 1, errors
    assert ("See .env.example" in errors) == (value == "")


def test_a_weak_secret_is_refused() -> None:
    code, errors = _check(DAGY_SECRET_KEY="short")
    assert code != 0
    assert errors.count("DAGY_SECRET_KEY is shorter than 40 characters: make a longer random one.") == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DAGY_METRICS_TOKEN", "short", "DAGY_METRICS_TOKEN is shorter than 16 characters: make a longer random one."),
        ("DAGY_PING_URL", "http://hc.example/x", "DAGY_PING_URL: The address must begin with https://."),
        ("DAGY_PING_URL", "nonsense", "DAGY_PING_URL: This is no address:"),
    ],
)
def test_what_would_fail_each_minute_is_refused_at_the_start(variable: str, value: str, message: str) -> None:
    code, errors = _check(**{variable: value})
    assert code == 1 and errors.count(message) == 1, errors


def test_unset_trace_storage_is_a_warning_and_no_error() -> None:
    code, errors = _check(DAGY_TRACES_BUCKET="")
    assert code == 0
    assert "DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored." in errors


def test_the_settings_alone_make_every_log_line_a_json_object() -> None:
    program = "import django, logging; django.setup(); logging.getLogger('somewhere').warning('hello')"
    code, errors = _run("-c", program, DJANGO_SETTINGS_MODULE="dagy_console.settings")
    assert code == 0
    line = json.loads(errors)
    assert (line["event"], line["level"], line["logger"]) == ("hello", "warning", "somewhere")
