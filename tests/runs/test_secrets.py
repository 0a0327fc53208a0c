"""Secrets: given to an organization's runs, and told to nobody."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import Invalid, NotFound, PermissionDenied
from dagy_console.runs import executing
from dagy_console.runs.masking import Mask
from dagy_console.runs.models import LogLine, Run, Secret
from dagy_console.runs.secrets import selectors, services
from dagy_console.runs.services import deploying, triggering
from tests.runs.place import Place
from tests.runs.support import bundle

VALUE = "correct/horse ünd\nbattery-staple"
CODE = """
import base64, os, urllib.parse
from dagy import flow, task

@task
def connect():
    password = os.environ["DB_PASSWORD"]
    with open(f"/proc/{os.getpid()}/environ") as start:
        assert password.split()[0] not in start.read()
    print("plain", password)
    print("lines", *password.splitlines())
    print("url", urllib.parse.quote(password, safe=""))
    print("base64", base64.b64encode(password.encode()).decode())
    print("other", os.environ.get("OTHER", "none"))
    raise ValueError(f"can't connect with {password}")

@flow(log_prints=True)
def leaky():
    connect()
"""


@pytest.fixture
def kept(place: Place) -> Any:
    services.keep_secret(actor=place.actor, org_id="org_blue", name="DB_PASSWORD", value=VALUE)
    yield place
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM runs_secret")


def test_a_run_has_its_organizations_secrets_and_nothing_that_is_kept_shows_them(kept: Place) -> None:
    data, sha256 = bundle({"flows.py": CODE})
    deploying.deploy(actor=kept.actor, org_id="org_blue", bundle=data, sha256=sha256, entrypoint="flows.py:leaky")
    run = triggering.trigger(actor=kept.actor, org_id="org_blue", flow="leaky", parameters={})
    executing.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("FAILED", "ValueError"), run.reason
    log = "\n".join(LogLine.objects.filter(run=run).values_list("message", flat=True))
    everything = json.dumps([log, run.failure, run.reason, run.task_runs.get().attempts], ensure_ascii=False)
    for hidden in (VALUE, *VALUE.splitlines(), quote(VALUE, safe=""), base64.b64encode(VALUE.encode()).decode()):
        assert hidden not in everything
    assert "plain [Filtered]" in log
    assert "base64 [Filtered]" in log
    assert "other none" in log
    assert run.failure["message"] == "can't connect with [Filtered]"


def test_a_value_lies_encrypted_and_is_for_its_own_organization(kept: Place) -> None:
    row = Secret.objects.get()
    assert "horse" not in row.encrypted
    assert selectors.values_for_run("org_blue") == {"DB_PASSWORD": VALUE}
    assert selectors.values_for_run("org_red") == {}
    entry = AuditEntry.objects.get(action="secret.kept")
    assert "horse" not in json.dumps([entry.before, entry.after, entry.changes])


def test_a_run_whose_secrets_can_not_be_read_says_so(kept: Place) -> None:
    Secret.objects.update(encrypted="of another key")
    run = kept.run()
    assert run.status == "FAILED"
    assert run.reason.startswith("it could not be started: It was encrypted with a key that this console does not have")
    assert Run.objects.get(pk=run.pk).lease_owner is None


def test_masking_leaves_records_whole() -> None:
    mask = Mask(["1234", 'quo"te\\d'])
    line = json.dumps({"duration": 0.1234, "message": '1234 quo"te\\d', "keys": {"1234": [1234]}}).encode()
    assert mask.read(line) == {
        "duration": 0.1234,
        "message": "[Filtered] [Filtered]",
        "keys": {"[Filtered]": [1234]},
    }


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("db_password", VALUE, "name"),
        ("1DB", VALUE, "name"),
        ("A" * 101, VALUE, "name"),
        ("PATH", VALUE, "name"),
        ("PYTHONPATH", VALUE, "name"),
        ("LD_PRELOAD", VALUE, "name"),
        ("DB_PASSWORD", "abc", "value"),
        ("DB_PASSWORD", "x" * 32_001, "value"),
        ("DB_PASSWORD", "nul\0nul", "value"),
    ],
)
def test_what_can_not_be_a_secret_is_refused(bob: Any, as_actor: Any, name: str, value: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        services.keep_secret(actor=as_actor(bob), org_id="org_blue", name=name, value=value)
    assert [error.field for error in caught.value.errors] == [field]
    assert not Secret.objects.exists()


def test_secrets_by_the_api(api: Any, bob: Any, vera: Any, charlie: Any) -> None:
    client = api(bob)
    json_body = {"content_type": "application/json"}
    answer = client.put("/secrets/DB_PASSWORD", {"value": VALUE}, **json_body)
    assert (answer.status_code, answer.json()["name"]) == (200, "DB_PASSWORD"), answer.content
    client.put("/secrets/DB_PASSWORD", {"value": "another one"}, **json_body)
    listed = client.get("/secrets").content.decode()
    assert "DB_PASSWORD" in listed
    assert "another" not in listed
    assert selectors.values_for_run("org_blue") == {"DB_PASSWORD": "another one"}
    assert api(vera).get("/secrets").status_code == 403
    assert api(charlie).delete("/secrets/DB_PASSWORD?org_id=org_blue").status_code == 403
    assert client.delete("/secrets/DB_PASSWORD").status_code == 204
    assert client.delete("/secrets/DB_PASSWORD").status_code == 404
    assert client.put("/secrets/DB_PASSWORD", {}, **json_body).status_code == 422
    actions = list(AuditEntry.objects.filter(resource_type="secret").order_by("at").values_list("action", flat=True))
    assert actions == ["secret.kept", "secret.kept", "secret.deleted"]


def test_secrets_by_their_page(browse: Any, bob: Any) -> None:
    client = browse(bob)
    assert "No secrets yet" in client.get("/console/runs/secrets/").content.decode()
    refused = client.post("/console/runs/secrets/new/", {"org_id": "org_blue", "name": "x", "value": VALUE})
    assert refused.status_code == 422
    assert VALUE not in refused.content.decode()
    client.post("/console/runs/secrets/new/", {"org_id": "org_blue", "name": "DB_PASSWORD", "value": VALUE})
    page = client.get("/console/runs/secrets/").content.decode()
    assert "DB_PASSWORD" in page
    assert "horse" not in page
    client.post("/console/runs/secrets/delete/", {"org_id": "org_blue", "name": "DB_PASSWORD"})
    assert not Secret.objects.exists()


def test_who_may_not_write_secrets_keeps_none(as_actor: Any, vera: Any, bob: Any) -> None:
    with pytest.raises(PermissionDenied):
        services.keep_secret(actor=as_actor(vera), org_id="org_blue", name="DB_PASSWORD", value=VALUE)
    with pytest.raises(Invalid, match="no organization"):
        services.keep_secret(actor=SYSTEM, org_id="org_none", name="DB_PASSWORD", value=VALUE)
    with pytest.raises(NotFound):
        services.delete_secret(actor=as_actor(bob), org_id="org_blue", name="DB_PASSWORD")
