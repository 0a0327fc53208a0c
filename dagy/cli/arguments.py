"""What the command line takes. Commands are imported when they are run: a list should not wait for an engine."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from dagy import __version__
from dagy.cli.exits import EPILOG
from dagy.records import LEVELS
from dagy.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Raises SystemExit(2), after saying what is wrong, for wrong usage."""
    parser = new_parser()
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "command"):
        parser.print_help()
        raise SystemExit(2)
    return arguments


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows its width: the usual one loads `shutil` to ask for it, for each argument of each command."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size().columns
        except OSError:
            columns = 100
        super().__init__(prog, width=min(columns, 120) - 2)


def new_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dagy",
        description="Run flows on this machine and on the platform, and see what became of them.",
        epilog=EPILOG,
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"dagy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_runs(commands)
    _add_reading(commands)
    _add_server(commands)
    completion = _add(commands, "completion", "cli.completion:print_script", "print the shell's completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    hidden = commands.add_parser("_complete", formatter_class=_Formatter)
    hidden.add_argument("kind", choices=("runs", "tasks"))
    hidden.add_argument("run", nargs="?")
    hidden.set_defaults(command=_later("cli.completion:print_words"))
    return parser


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", "cli.running:run", "run a flow on this machine")
    run.add_argument("target", metavar="FILE.py:FLOW", help="a file or a module, and a flow in it")
    _add_parameters(run)
    run.add_argument("--max-workers", type=_from_one, default=4, metavar="N", help="tasks at once (4)")
    run.add_argument("--no-fail-fast", dest="fail_fast", action="store_false", help="let independent branches go on")
    _add_json(run)


def _add_runs(commands: Any) -> None:
    runs = commands.add_parser(
        "runs",
        help="list runs, show one, push one",
        description="List runs, show one, push one to the server.",
        formatter_class=_Formatter,
    )
    of_runs = runs.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = _add(of_runs, "list", "cli.listing:list_runs", "list runs, newest first")
    listing.add_argument("--status", choices=[state.value for state in State], type=str.upper, metavar="STATUS")
    listing.add_argument("--flow", help="runs of this flow")
    listing.add_argument("--limit", type=_from_one, default=20, metavar="N", help="how many (20)")
    _add_place(listing)
    show = _add(of_runs, "show", "cli.showing:show", "show a run: its tasks, its failure")
    _add_id(show)
    push = _add(of_runs, "push", "cli.pushing:push", "send a local run to the server, for others to read")
    push.add_argument("run", nargs="?", metavar="ID", help="the id, its beginning or end, or latest (default)")
    push.add_argument("--org", metavar="ID", help="the organization, where you are in several")
    push.add_argument("--no-artifacts", dest="artifacts", action="store_false", help="its record and its log alone")
    push.add_argument("--api-url", metavar="URL", help="the server (DAGY_API_URL)")
    _add_json(push)


def _add_reading(commands: Any) -> None:
    logs = _add(commands, "logs", "cli.logging:print_log", "print a run's log")
    _add_id(logs)
    logs.add_argument("--task", metavar="ID", help="of this task alone")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until the run has ended")
    logs.add_argument("--level", choices=LEVELS, type=str.upper, help="of this level at least")
    _add_id(_add(commands, "doctor", "cli.doctor:diagnose", "say what failed first, why, and what to do"))
    cancel = _add(commands, "cancel", "cli.cancelling:cancel", "cancel a run")
    _add_id(cancel)
    cancel.add_argument("--reason", help="why, for the record (on the server)")


def _add_server(commands: Any) -> None:
    deploy = _add(commands, "deploy", "cli.server:deploy", "send a flow's code to the server")
    deploy.add_argument("target", metavar="FILE.py:FLOW")
    deploy.add_argument(
        "--on-worker-lost", choices=("fail", "restart"), help="what becomes of a run whose worker dies (default: fail)"
    )
    deploy.add_argument("--queue", metavar="NAME", help="where its runs wait for a worker (default: default)")
    deploy.add_argument("--concurrency-limit", type=int, metavar="N", help="how many of its runs there may be at once")
    trigger = _add(commands, "trigger", "cli.server:trigger", "start a run on the server")
    trigger.add_argument("flow", metavar="FLOW")
    _add_parameters(trigger)
    trigger.add_argument("--org", metavar="ID", help="the organization, where you are in several")
    login = _add(commands, "login", "cli.server:login", "sign in, and keep the token")
    login.add_argument("--email")
    logout = _add(commands, "logout", "cli.server:logout", "end the kept token")
    for command in (deploy, trigger, login, logout):
        command.add_argument("--api-url", metavar="URL", help="the server (DAGY_API_URL)")
        _add_json(command)


def _add(commands: Any, name: str, function: str, text: str) -> argparse.ArgumentParser:
    description = f"{text[0].upper()}{text[1:]}."
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, formatter_class=_Formatter
    )
    command.set_defaults(command=_later(function))
    return command


def _later(name: str) -> Callable[[argparse.Namespace], Any]:
    def command(arguments: argparse.Namespace) -> Any:
        from importlib import import_module

        module, _, function = name.partition(":")
        return getattr(import_module(f"dagy.{module}"), function)(arguments)

    return command


def _add_parameters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-p",
        "--parameter",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="JSON, or a text",
    )
    command.add_argument("--parameters", dest="parameters_file", metavar="FILE", help="a JSON object; - is stdin")


def _add_id(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", nargs="?", metavar="ID", help="the id, its beginning or end; the latest run otherwise")
    _add_place(command)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("--local", action="store_true", help="on this machine, also where DAGY_API_URL is set")
    _add_json(command)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _from_one(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)
