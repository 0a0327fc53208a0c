"""Deploying a flow: what is kept, what is read of it, and what is refused."""

from __future__ import annotations

import ctypes
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dagy_console.audit.models import AuditEntry
from dagy_console.core import storage
from dagy_console.core.errors import Invalid
from dagy_console.runs import bundles, children
from dagy_console.runs.models import Deployment, Flow
from tests.runs.support import FLOWS, bundle


@pytest.fixture
def deploy(api: Any, bob: Any, artifacts: Any) -> Any:
    """POST /deployments as an owner of org_blue."""
    client = api(bob)

    def post(files: dict[str, str] | None = None, *, data: bytes | None = None, **query: str) -> Any:
        packed, sha256 = bundle(files)
        body = packed if data is None else data
        query = {"entrypoint": "flows.py:nightly", "sha256": sha256, **query}
        address = "/deployments?" + "&".join(f"{key}={value}" for key, value in query.items())
        return client.post(address, body, content_type="application/zip")

    return post


def test_a_deployment_is_a_new_version_with_its_graph(deploy: Any, artifacts: Any) -> None:
    answer = deploy()
    assert answer.status_code == 201, answer.content
    made = answer.json()
    data, sha256 = bundle()
    assert (made["flow"], made["version"], made["label"], made["org_id"]) == ("nightly", 1, "2026.1", "org_blue")
    assert made["graph"] == {
        "tasks": [
            {"task_id": "extract", "name": "extract", "depends_on": []},
            {"task_id": "load", "name": "load", "depends_on": ["extract"]},
        ],
        "parameters": [{"name": "day", "hint": "str", "required": False, "default": "'today'"}],
        "problem": None,
    }
    kept = storage.client().get_object(Bucket=artifacts.name, Key=f"bundles/org_blue/{sha256}.zip")["Body"].read()
    assert kept == data
    again = deploy(
        version="second", files={"flows.py": FLOWS.replace("def load", "def store").replace("load(", "store(")}
    )
    assert (again.json()["version"], again.json()["label"]) == (2, "second")
    assert Flow.objects.get().latest.version == 2


def test_what_is_deployed_already_is_answered_as_it_is(deploy: Any) -> None:
    first, second = deploy().json(), deploy().json()
    assert first == second
    assert Deployment.objects.count() == AuditEntry.objects.filter(action="flow.deployed").count() == 1


def test_the_record_tells_what_changed_in_the_graph(deploy: Any) -> None:
    deploy()
    deploy(files={"flows.py": FLOWS.replace("    load(extract(day))", "    load(extract(day)); extract(day)")})
    first, second = AuditEntry.objects.filter(action="flow.deployed").order_by("at")
    assert (first.resource_name, first.org_id, first.before) == ("nightly", "org_blue", None)
    assert second.before["tasks"] == {"extract": [], "load": ["extract"]}
    assert second.after["tasks"] == {"extract": [], "load": ["extract"], "extract-2": []}
    assert (second.before["version"], second.after["version"]) == (1, 2)


def test_a_flow_whose_graph_depends_on_parameters_has_none(deploy: Any) -> None:
    made = deploy(files={"flows.py": FLOWS.replace('day: str = "today"', "day: str")}).json()
    assert made["graph"]["tasks"] is None
    assert made["graph"]["problem"] == "its graph depends on parameters without defaults: day"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('no config')", "ValueError: no config"),
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
        ("nightly = 5", "'nightly' in flows.py is no flow"),
        ("other = 5", "There is no flow 'nightly' in flows.py"),
        ("import os; os._exit(137)", "its process ended with code 137"),
        ("import sys; sys.exit(0)", "SystemExit"),
        (
            "import os\nfor fd in range(3, 200):\n    try: os.write(fd, b'[]\\n')\n    except OSError: pass",
            "something else",
        ),
        ("x = bytearray(3_000_000_000)", "MemoryError"),
    ],
)
def test_code_that_can_not_be_read_is_refused_with_the_reason(deploy: Any, code: str, said: str) -> None:
    answer = deploy(files={"flows.py": code})
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert error["field"] == "entrypoint"
    assert said in error["message"]
    assert Flow.objects.count() == 0


def test_code_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "READING_SECONDS", 1)
    marker = tmp_path / "pid"
    code = f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(Invalid) as caught:
        children.read_graph(bundle({"flows.py": code})[0], "flows.py:nightly")
    assert "it took more than 1 s" in caught.value.errors[0].message
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_the_code_sees_nothing_of_the_servers_environment() -> None:
    code = "import os\nraise LookupError(sorted(os.environ))"
    with pytest.raises(Invalid) as caught:
        children.read_graph(bundle({"flows.py": code})[0], "flows.py:nightly")
    names = caught.value.errors[0].message
    assert "'PATH'" in names
    assert not any(secret in names for secret in ("DATABASE", "REDIS", "AWS", "DAGY_"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every process' environment")
def test_the_code_can_not_read_the_servers_environment_in_proc() -> None:
    code = "import os\nraise LookupError(open(f'/proc/{os.getppid()}/environ').read())"
    with pytest.raises(Invalid) as caught:
        children.read_graph(bundle({"flows.py": code})[0], "flows.py:nightly")
    assert "PermissionError" in caught.value.errors[0].message


def test_the_servers_process_can_not_be_dumped_by_others() -> None:
    children.read_graph(bundle()[0], "flows.py:nightly")
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE


def zip_of(name: str, *, attributes: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("flows.py", FLOWS)
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = attributes << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no zip"),
        (b"PK\3\4 and nothing", "is no zip"),
        (zip_of("../evil.py"), "may lie outside"),
        (zip_of("a/../../evil.py"), "may lie outside"),
        (zip_of("/etc/cron.d/evil"), "may lie outside"),
        (zip_of("C:\\evil.py"), "may lie outside"),
        (zip_of("link", attributes=stat.S_IFLNK | 0o777), "no plain file (a link?)"),
    ],
    ids=["nothing", "a beginning", "above", "above, hidden", "absolute", "a drive", "a link"],
)
def test_a_bundle_that_is_not_safe_is_refused(deploy: Any, data: bytes, said: str) -> None:
    import hashlib

    answer = deploy(data=data, sha256=hashlib.sha256(data).hexdigest())
    assert answer.status_code == 422, answer.content
    assert said in answer.json()["errors"][0]["message"]


def test_a_bundle_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data, sha256 = bundle({"flows.py": FLOWS, "data": "x" * 100_000})
    monkeypatch.setattr(bundles, "MAX_UNPACKED_BYTES", 50_000)
    with pytest.raises(Invalid, match="unpacks to more than"):
        bundles.checked(data, sha256, "flows.py:nightly")
    with pytest.raises(Invalid, match="unpacks to more than"):  # also where the headers lie
        bundles.unpack(data, tmp_path)


def test_wrong_queries_and_bodies_say_what_is_wrong(deploy: Any, api: Any, bob: Any) -> None:
    assert "is not that of the body" in deploy(sha256="0" * 64).json()["errors"][0]["message"]
    assert "must be a file in the bundle" in deploy(entrypoint="nope.py:x").json()["errors"][0]["message"]
    assert "must be a file in the bundle" in deploy(entrypoint="flows.py").json()["errors"][0]["message"]
    assert "is called 'nightly'" in deploy(flow="other").json()["errors"][0]["message"]
    assert deploy(sha256="xyz").status_code == 422
    too_large = api(bob).post(
        "/deployments?entrypoint=a:b&sha256=" + "0" * 64, b"x" * (bundles.MAX_BYTES + 1), "application/zip"
    )
    assert too_large.status_code == 413
    assert "more than 10 MB" in too_large.json()["detail"]


def test_flows_and_deployments_are_seen_by_their_organization_alone(
    deploy: Any, api: Any, alice: Any, vera: Any, charlie: Any
) -> None:
    made = deploy().json()
    for person, count in ((vera, 1), (charlie, 0), (alice, 1)):
        client = api(person)
        assert len(client.get("/flows").json()["items"]) == count
        assert len(client.get("/deployments?flow=nightly").json()["items"]) == count
        assert client.get(f"/flows/{made['flow_id']}").status_code == (200 if count else 404)
    detail = api(vera).get(f"/flows/{made['flow_id']}").json()
    assert detail["latest"]["sha256"] == made["sha256"]


def test_who_may_not_write_flows_deploys_none(deploy: Any, api: Any, vera: Any, charlie: Any) -> None:
    data, sha256 = bundle()
    for person, org_id in ((vera, "org_blue"), (charlie, "org_blue")):
        address = f"/deployments?entrypoint=flows.py:nightly&sha256={sha256}&org_id={org_id}"
        assert api(person).post(address, data, "application/zip").status_code == 403
    assert Flow.objects.count() == 0


def test_without_a_bucket_nothing_is_deployed(deploy: Any, settings: Any) -> None:
    settings.ARTIFACTS_BUCKET = ""
    answer = deploy()
    assert answer.status_code == 503
    assert "DAGY_ARTIFACTS_BUCKET is not set" in answer.json()["detail"]
