"""The files that put the console on other machines agree with the settings, which are the only authority."""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery.bin.celery import celery
from django.core.management import get_commands

from embedded.console import Console
from embedded.profile import Profile

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENVIRONMENT = r"os\.(environ\.\w+|getenv)"
# Read by boto3 itself, not by us.
READ_BY_BOTO3 = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
# What the images of the servers document.
READ_BY_IMAGES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"},
    "redis": {"REDISCLI_AUTH"},
    "s3": set(),
}
SECRETS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "DAGY_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "POSTGRES_APPLICATION_PASSWORD",
    "REDIS_PASSWORD",
}


def _calls(path: Path, function: str) -> set[str]:
    """The first arguments of the calls in a source file whose function's dotted name matches the pattern."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = [call.args[0] for call in calls if re.fullmatch(function, ast.unparse(call.func))]
    # The address given to env.database() is itself read from a variable, by a call that is found on its own.
    constants = [argument for argument in found if not isinstance(argument, ast.Call)]
    assert all(isinstance(argument, ast.Constant) for argument in constants), "write a variable's name out"
    return {argument.value for argument in constants if isinstance(argument, ast.Constant)}


def settings_variables() -> set[str]:
    return _calls(ROOT / "dagy_console" / "settings.py", r"env\.\w+")


def command_variables() -> set[str]:
    """What `manage.py` commands read besides."""
    paths = (ROOT / "dagy_console").rglob("management/commands/*.py")
    return {name for path in paths for name in _calls(path, ENVIRONMENT)}


def interpolated() -> dict[str, set[str]]:
    """Variable -> the forms in which docker-compose.yml asks for it: `:?…`, `:-…`."""
    found: dict[str, set[str]] = {}
    for name, form in re.findall(r"\$\{(\w+)([^}]*)\}", (ROOT / "docker-compose.yml").read_text()):
        found.setdefault(name, set()).add(form)
    return found


def example_variables() -> dict[str, str]:
    """Variable -> value in .env.example, commented or not."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [match.groups() for line in lines if (match := re.fullmatch(r"#?([A-Z][A-Z0-9_]+)=(.*)", line))]
    assert len({name for name, _ in found}) == len(found), "a variable stands twice in .env.example"
    return dict(found)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), continued lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = text.replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def console_services() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if "build" in service}


def test_the_settings_variables_are_found_in_the_source() -> None:
    assert {"DATABASE_URL", "REDIS_URL", "DAGY_SECRET_KEY", "DAGY_TRACES_BUCKET"} <= settings_variables()
    assert "DAGY_PASSWORD" in command_variables()


def test_nothing_of_the_console_reads_the_environment_behind_the_settings_back() -> None:
    allowed = {"settings.py", "environment.py"}
    for path in (ROOT / "dagy_console").rglob("*.py"):
        if path.name not in allowed and "commands" not in path.parts:
            assert _calls(path, ENVIRONMENT) <= {"DJANGO_SETTINGS_MODULE"}, path


def test_env_example_lists_every_variable_that_is_read_and_no_other() -> None:
    ours = settings_variables() | command_variables() | READ_BY_BOTO3
    only_compose = interpolated().keys() - ours
    assert set(example_variables()) == ours | only_compose


def test_every_variable_of_env_example_has_a_comment() -> None:
    text = (ROOT / ".env.example").read_text()
    blocks = [block for block in re.split(r"\n\s*\n|^# ---.*$", text, flags=re.MULTILINE) if "=" in block]
    for block in blocks:
        for variable in re.finditer(r"^#?[A-Z][A-Z0-9_]+=", block, flags=re.MULTILINE):
            assert re.search(r"^# \S", block[: variable.start()], flags=re.MULTILINE), variable[0]


def test_env_example_holds_no_secret() -> None:
    example = example_variables()
    assert {name: example[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_variable_of_a_compose_service_is_read_by_what_runs_in_it(name: str) -> None:
    given = set(SERVICES[name].get("environment", {}))
    known = settings_variables() | READ_BY_BOTO3 if "build" in SERVICES[name] else READ_BY_IMAGES[name]
    assert given <= known


def test_compose_sets_everything_that_settings_require() -> None:
    required = _calls(ROOT / "dagy_console" / "settings.py", r"env\.required")
    for service in console_services().values():
        assert required <= set(service["environment"])


def test_compose_gives_the_owner_of_the_database_to_migrations_alone() -> None:
    for name, service in console_services().items():
        assert ("DATABASE_OWNER_URL" in service["environment"]) == (name == "migrate")


def test_compose_has_no_default_for_a_secret() -> None:
    for name in SECRETS:
        assert all(form.startswith(":?") for form in interpolated()[name]), name


def test_images_are_pinned_to_an_exact_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    for image in images:
        _, _, tag = image.rpartition(":")
        assert re.match(r"\d+\.\d+", tag), f"{image} is not pinned"


def test_each_service_that_serves_has_a_health_check_and_waits_for_what_it_needs() -> None:
    workers = {"worker", "outside", "jobs", "runs", "beat"}
    assert {"web", "migrate", "buckets", "postgres", "redis", "s3"} | workers == set(SERVICES)
    for name in ("worker", "outside", "jobs", "runs", "postgres", "redis", "s3"):
        assert SERVICES[name]["healthcheck"]["test"]
    assert any(word == "HEALTHCHECK" and "/health/live" in rest for word, rest in instructions())
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            ends = SERVICES[needed].get("restart") == "no"
            assert condition == ("service_completed_successfully" if ends else "service_healthy")


def test_redis_keeps_tasks_over_restarts_and_never_evicts_them() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_data_lies_in_named_volumes() -> None:
    for name in ("postgres", "redis", "s3", "web", "worker", "jobs", "runs"):
        for volume in SERVICES[name]["volumes"]:
            assert volume.split(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", sorted(console_services()))
def test_every_command_names_what_exists(name: str) -> None:
    command = SERVICES[name].get("command") or _image_command()
    program, *arguments = command
    if arguments[0] == "-m":
        assert program == "python"
        assert callable(importlib.import_module(arguments[1]).main)
    elif program == "python":
        assert arguments[0] == "manage.py"
        assert (ROOT / "manage.py").exists()
        assert arguments[1] in get_commands()
    else:
        assert program == "celery"
        _check_celery(arguments)


def test_make_run_starts_what_compose_starts() -> None:
    commands = Console(Profile("run"), {"DAGY_RUN_QUEUES": "default, heavy"}, {"web": 8000}).commands()
    assert set(commands) == {"web", "worker", "outside", "jobs", "runs"}
    assert "runs,runs.heavy" in commands["runs"]
    for name in ("worker", "outside", "jobs", "runs"):
        _, _, program, *arguments = map(str, commands[name])
        assert program == "celery"
        _check_celery(arguments)


def _image_command() -> list[str]:
    (command,) = [rest for word, rest in instructions() if word == "CMD"]
    parsed: list[str] = yaml.safe_load(command)
    return parsed


def _check_celery(arguments: list[str]) -> None:
    """Celery's own parser takes the options, and the application is there."""
    context = celery.make_context("celery", list(arguments), resilient_parsing=True)
    assert importlib.import_module(f"{context.params['app']}.celery").app.main == "dagy_console"
    name = arguments[2]
    subcommand = celery.commands[name]
    assert subcommand.make_context(name, arguments[3:], parent=context, resilient_parsing=True).args == []


def test_the_image_installs_the_locked_requirements_as_another_user_than_root() -> None:
    runs = " ".join(rest for word, rest in instructions() if word == "RUN")
    assert runs.count("--require-hashes") == 2
    assert [rest for word, rest in instructions() if word == "USER"] == ["dagy"]


def test_the_image_copies_what_exists_and_what_dockerignore_lets_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in let_through
    assert all((ROOT / path).exists() for path in let_through)


def test_the_image_s_variables_are_read_by_the_settings() -> None:
    given = {pair.split("=")[0] for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)}
    assert given - {"PATH", "PYTHONUNBUFFERED", "DJANGO_SETTINGS_MODULE"} <= settings_variables()


@pytest.mark.slow("everything is collected and compressed")
def test_static_files_are_collected_with_the_variables_of_the_image_alone(tmp_path: Path) -> None:
    (run,) = [rest for word, rest in instructions() if word == "RUN" and "collectstatic" in rest]
    words = shlex.split(run.split("&&")[0])
    given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    command = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    assert command[:2] == ["python", "manage.py"]
    environment = given | {"DAGY_STATIC_ROOT": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "staticfiles.json").exists()
