"""`dagy deploy`, `trigger`, `login` and `logout`: they speak to the server alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from dagy.cli import output
from dagy.cli.exits import UsageError
from dagy.cli.parameters import parameters_of
from dagy.client import DagyClient, NotAuthenticated


def deploy(arguments: Any) -> int:
    from dagy.bundles import bundle_of
    from dagy.loading import load_flow, split_target, variable_of

    where, _ = split_target(arguments.target)
    flow = load_flow(arguments.target)
    if not where.endswith(".py"):
        raise UsageError("deploy takes a file, as in path/to/file.py:flow: its directory is what is sent.")
    bundle = bundle_of(Path(where), variable_of(flow))
    with _client(arguments) as client:
        made = client.deploy(
            bundle.data,
            flow=flow.name,
            entrypoint=bundle.entrypoint,
            sha256=bundle.sha256,
            version=flow.version,
            on_worker_lost=arguments.on_worker_lost,
            queue=arguments.queue,
            concurrency_limit=arguments.concurrency_limit,
        )
    if arguments.json:
        output.say_json(made.raw)
    else:
        output.say(f"Deployed {flow.name}: version {made.version}, {bundle.files} files, deployment {made.id}")
    return 0


def trigger(arguments: Any) -> int:
    with _client(arguments) as client:
        run = client.trigger(arguments.flow, parameters_of(arguments, None), org_id=arguments.org)
    if arguments.json:
        output.say_json(run.raw)
    else:
        output.say(f"{output.mark(run.status)} {output.paint(run.status, run.status)}  run {run.id}")
        output.say(f"Follow it: dagy logs {run.id} --follow")
    return 0


def login(arguments: Any) -> int:
    """Asks for what is not given: the e-mail address, the password (never as an argument: others see those), and a code
    where the account has a second factor."""
    from getpass import getpass

    url = arguments.api_url or os.environ.get("DAGY_API_URL") or _asked("Server's URL: ")
    email = arguments.email or _asked("E-mail: ")
    password = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    with DagyClient(url, api_key="-") as client:
        try:
            token = client.login(email, password)
        except NotAuthenticated as error:
            if "factor" not in error.title.lower():
                raise
            token = client.login(email, password, _asked("Code of the authenticator app: "))
        me = client.me()
    if arguments.json:
        output.say_json({"api_url": client.api_url, "email": me.email, "expires_at": token.expires_at})
    else:
        output.say(f"Signed in to {client.api_url} as {me.email}, until {output.local_time(token.expires_at)}.")
    return 0


def logout(arguments: Any) -> int:
    with _client(arguments) as client:
        client.logout()
    if arguments.json:
        output.say_json({"api_url": client.api_url})
    else:
        output.say(f"Signed out of {client.api_url}.")
    return 0


def _client(arguments: Any) -> DagyClient:
    return DagyClient(arguments.api_url)


def _asked(prompt: str) -> str:
    """The prompt goes to stderr, so that stdout stays the answer."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if not answer:
        raise UsageError(f"{prompt.rstrip(': ')} is needed.")
    return answer
