"""`dagy completion SHELL`: a script made from the parser itself, so that it can't fall behind."""

from __future__ import annotations

import argparse
from typing import Any

from dagy.cli import output
from dagy.cli.arguments import new_parser


def print_script(arguments: Any) -> int:
    commands = _commands(new_parser())
    output.say({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](commands).rstrip())
    return 0


def print_words(arguments: Any) -> int:
    """What may follow: ids of runs, or of the tasks of one. Nothing where they can't be read."""
    from contextlib import suppress

    from dagy.errors import DagyError
    from dagy.local import index, reading

    with suppress(DagyError, OSError):
        if arguments.kind == "runs":
            for line in index.listing(limit=50):
                output.say(line.run_id)
        else:
            for task in reading.read_run(reading.find_run(arguments.run))["tasks"]:
                output.say(task["task_id"])
    return 0


def _commands(parser: argparse.ArgumentParser, path: str = "") -> dict[str, list[str]]:
    """Command (`runs list`) → the words that may follow it. The empty one is `dagy` itself."""
    found = {path: _options(parser)}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            names = [name for name in action.choices if not name.startswith("_")]
            found[path] += names
            for name in names:
                found |= _commands(action.choices[name], f"{path} {name}".strip())
        elif not action.option_strings and action.choices:
            found[path] += list(action.choices)
    return found


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


_TAKES_RUN = ("runs show", "runs push", "logs", "doctor", "cancel")

_BASH = """\
# dagy completion for bash: source <(dagy completion bash)
_dagy() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" last="${{COMP_WORDS[COMP_CWORD-1]}}"
    local line="${{COMP_WORDS[*]:1:COMP_CWORD-1}} " words=""
    if [[ "$last" == --task ]]; then
        words="$(dagy _complete tasks 2>/dev/null)"
    else
        case "$line" in
{cases}
            *) words="{top}" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [[ "$line" == run\\ * || "$line" == deploy\\ * ]]; then COMPREPLY+=($(compgen -f -- "$word")); fi
}}
complete -o default -F _dagy dagy
"""


def _bash(commands: dict[str, list[str]]) -> str:
    cases = []
    for path in sorted(filter(None, commands), key=len, reverse=True):
        runs = " $(dagy _complete runs 2>/dev/null)" if path in _TAKES_RUN else ""
        cases.append(f'            "{path} "*) words="{" ".join(commands[path])}{runs}" ;;')
    return _BASH.format(cases="\n".join(cases), top=" ".join(commands[""]))


_ZSH = """\
#compdef dagy
# dagy completion for zsh: source <(dagy completion zsh)
autoload -U +X bashcompinit && bashcompinit
{bash}"""


def _zsh(commands: dict[str, list[str]]) -> str:
    return _ZSH.format(bash=_bash(commands))


def _fish(commands: dict[str, list[str]]) -> str:
    lines = ["# dagy completion for fish: dagy completion fish | source"]
    for path, words in commands.items():
        seen = " ".join(path.split())
        condition = f"__fish_seen_subcommand_from {seen.split()[-1]}" if seen else "__fish_use_subcommand"
        for word in words:
            option = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c dagy -n '{condition}' {option}")
        if path in _TAKES_RUN:
            lines.append(f"complete -c dagy -n '{condition}' -f -a '(dagy _complete runs 2>/dev/null)'")
    lines.append(
        "complete -c dagy -n '__fish_seen_subcommand_from logs' -l task -x -a '(dagy _complete tasks 2>/dev/null)'"
    )
    return "\n".join(lines)
