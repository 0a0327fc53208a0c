"""One JSON object a line, each with the request id and the actor."""

import io
import json
import logging

import pytest

from dagy_console.core import logs


@pytest.fixture
def lines(settings):
    settings.LOG_FORMAT, settings.LOG_LEVEL = "json", "INFO"
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure({})
    stream = io.StringIO()
    root.handlers[0].setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_request_is_a_line_that_says_who_what_and_how_long(browse, alice, lines):
    browse(alice).get("/console/audit/?q=secret", headers={"X-Request-Id": "req-logged"})
    (line,) = [line for line in lines() if line["event"] == "request"]
    assert (line["request_id"], line["actor"]) == ("req-logged", "alice@dagy.example")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/console/audit/", 200)
    assert line["milliseconds"] > 0 and line["timestamp"] and line["level"] == "info"
    assert "secret" not in json.dumps(line)


def test_the_standard_library_s_log_lines_carry_the_request_id_too(client, db, lines):
    client.get("/nowhere", headers={"X-Request-Id": "req-nowhere"})
    assert any(line["event"].startswith("Not Found") and line["request_id"] == "req-nowhere" for line in lines())


def test_no_line_holds_a_query_or_a_secret(client, db, lines):
    client.get("/nowhere?q=what-was-searched-for")
    try:
        raise ValueError("password=hunter2hunter2")
    except ValueError:
        logging.getLogger("django.request").exception("failed")
    text = json.dumps(lines())
    assert "what-was-searched-for" not in text and "hunter2" not in text and "ValueError" in text


def test_no_line_holds_what_a_mailed_link_opens(client, db, lines):
    for path in ("/accounts/password/reset/a/dikzlo-0acb3e597ea0f1/", "/accounts/invitations/0acb3e597ea0f1/"):
        client.get(path)
    text = json.dumps(lines(), ensure_ascii=False)
    assert "0acb3e597ea0f1" not in text
    assert text.count("/accounts/password/reset/a/…/") == text.count("/accounts/invitations/…/") == 2


def test_djangos_lines_come_once_and_at_our_level_only(client, db, lines, settings, capfd):
    client.get("/nowhere")
    assert len([line for line in lines() if line["event"].startswith("Not Found")]) == 1
    settings.LOG_LEVEL = "CRITICAL"
    logs.configure({})
    capfd.readouterr()
    client.get("/nowhere")
    assert capfd.readouterr().err == ""
    assert not logging.getLogger("django").handlers


def test_the_development_servers_own_request_lines_which_hold_the_query_are_left_out(lines, capfd):
    logging.getLogger("django.server").warning('"%s" %s %s', "GET /x?q=what-was-searched-for HTTP/1.1", 404, 9)
    assert lines() == [] and "what-was-searched-for" not in capfd.readouterr().err


def test_a_traceback_for_people_shows_no_variables(settings, lines, capfd):
    settings.LOG_FORMAT = "console"
    logs.configure({})
    local_only = "a-local-variable".upper()
    try:
        raise ValueError(f"of {len(local_only)} letters")
    except ValueError:
        logging.getLogger("x").exception("failed")
    said = capfd.readouterr().err
    assert "ValueError: of 16 letters" in said and "A-LOCAL-VARIABLE" not in said


def test_a_line_break_in_a_value_stays_in_its_line(lines):
    logging.getLogger("x").warning('one\n{"event": "forged"}')
    (line,) = lines()
    assert line["event"].startswith("one\n")
