"""The client and `dagy login` against the real console, over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test.testcases import LiveServerThread

from dagy import DagyClient
from dagy.cli import main
from dagy.client import Forbidden, Invalid, NotAuthenticated, NotFound
from dagy_console.accounts.services.people import add_member, create_organization, create_user
from dagy_console.core.actors import SYSTEM
from dagy_console.core.permissions import Role
from tests.console import PASSWORD

EMAIL = "bob@blue.example"


@pytest.fixture(autouse=True)
def local_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the SDK keeps on a customer's machine."""
    path = tmp_path / "dagy"
    monkeypatch.setenv("DAGY_LOCAL_DIR", str(path))
    for name in ("DAGY_API_URL", "DAGY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def console(committed: None) -> Iterator[str]:
    blue = create_organization(actor=SYSTEM, org_id="org_blue", name="Blue Analytics")
    bob = create_user(actor=SYSTEM, email=EMAIL, name="Bob", password=PASSWORD, super_admin=False)
    add_member(actor=SYSTEM, user=bob, organization=blue, role=Role.OWNER)
    thread = LiveServerThread("127.0.0.1", lambda handler: handler)
    thread._create_server_handler = WSGIHandler  # type: ignore[attr-defined]
    thread.daemon = True
    thread.start()
    thread.is_ready.wait(10)
    assert thread.error is None
    yield f"http://127.0.0.1:{thread.port}"
    thread.terminate()


@pytest.fixture
def client_of() -> Iterator[Callable[..., DagyClient]]:
    """Clients whose connections end with the test, and the server's with them."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(DagyClient(*arguments))


def test_signing_in_keeps_a_token_that_later_clients_use(
    console: str, client_of: Callable[..., DagyClient], local_dir: Path
) -> None:
    client_of(console, "-").login(EMAIL, PASSWORD)
    me = client_of().me()
    assert (me.email, me.super_admin) == (EMAIL, False)
    assert [(m.org_id, m.role) for m in me.memberships] == [("org_blue", "owner")]
    assert "runs.trigger" in me.permissions
    assert json.loads((local_dir / "credentials.json").read_text())["last"] == console

    token = client_of()._transport.token
    client_of().logout()
    with pytest.raises(NotAuthenticated):
        client_of(console, token).me()
    assert client_of(console)._transport.token is None


def test_what_the_console_refuses_has_its_words(console: str, client_of: Callable[..., DagyClient]) -> None:
    client = client_of(console, "-")
    with pytest.raises(NotAuthenticated) as wrong:
        client.login(EMAIL, "wrong", keep=False)
    assert wrong.value.request_id
    client.login(EMAIL, PASSWORD, keep=False)
    with pytest.raises(NotFound):
        client._get("/nothing-here")
    with pytest.raises(Forbidden):
        client._get("/admin/customers")
    with pytest.raises(Invalid) as invalid:
        client._get("/team/members", {"limit": "none"})
    assert invalid.value.errors[0]["field"] == "limit"


def test_an_api_key_is_made_once_and_used(console: str, client_of: Callable[..., DagyClient]) -> None:
    client = client_of(console, "-")
    client.login(EMAIL, PASSWORD, keep=False)
    made = client._post("/api-keys", {"name": "CI", "org_id": "org_blue", "scopes": ["runs.read"]})
    assert client_of(console, made["key"]).me().permissions == ["runs.read"]


def test_the_command_line_signs_in_and_out(
    console: str, local_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["login", "--api-url", console, "--email", EMAIL]) == 0
    assert capsys.readouterr().out.startswith(f"Signed in to {console} as {EMAIL}, until 20")
    assert main(["logout"]) == 0
    assert capsys.readouterr().out == f"Signed out of {console}.\n"

    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    assert main(["login", "--api-url", console, "--email", EMAIL]) == 5
    said = capsys.readouterr()
    assert "(401)" in said.err
    assert said.out == ""


def test_a_person_of_the_console_can_be_signed_in(db: None) -> None:
    """Asks for the test database, which `committed` alone does not make."""
    assert create_user(actor=SYSTEM, email=EMAIL, name="Bob", password=PASSWORD, super_admin=False).check_password(
        PASSWORD
    )


def test_a_server_without_the_endpoint_is_an_error_and_no_traceback(
    console: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Until the console has runs, and with an older one after that."""
    monkeypatch.setenv("DAGY_API_URL", "http://127.0.0.1:9")
    assert main(["trigger", "nightly", "-p", "day=2026", "--api-url", console]) in (3, 5)
    assert "Traceback" not in capsys.readouterr().err


def test_a_local_run_is_pushed_and_read_there(
    console: str,
    client_of: Callable[..., DagyClient],
    local_dir: Path,
    tmp_path: Path,
    bucket: Any,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.ARTIFACTS_BUCKET = bucket.name
    settings.STORAGES = {**settings.STORAGES}
    client_of(console, "-").login(EMAIL, PASSWORD)
    (tmp_path / "flows.py").write_text(
        "from dagy import flow, task\n@task\ndef one(): return 1\n@flow\ndef small(): one()\n"
    )
    assert main(["run", f"{tmp_path}/flows.py:small"]) == 0
    capsys.readouterr()
    assert main(["runs", "push", "--json"]) == 0
    run = client_of().run(json.loads(capsys.readouterr().out)["id"])
    assert (run.flow, run.status, run.raw["trigger"]) == ("small", "SUCCEEDED", "local")
    assert [line.message for line in client_of().logs(run.id, task_id="one")]
    assert main(["runs", "push", run.id[:8]]) == 0
    assert f"{console}/console/runs/{run.id}/" in capsys.readouterr().out
