"""Reading a run's log, by page and by API: any place of it, any part of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from dagy_console.runs.ansi import coloured
from dagy_console.runs.models import LogLine, Run
from tests.runs.support import a_run


@pytest.fixture
def run(bob: Any) -> Run:
    """1,000 lines of three tasks; line 700 of `load` is an error."""
    run = a_run("org_blue")
    run.status, run.log_lines, run.started_at = "FAILED", 1000, run.created_at
    run.failure = {"task_id": "load", "attempt": 1, "error_type": "LookupError", "message": "no such table"}
    run.save()
    LogLine.objects.bulk_create(
        LogLine(
            run=run,
            sequence=n,
            time=run.created_at + timedelta(milliseconds=n),
            level="ERROR" if n == 700 else "WARNING" if n % 100 == 0 else "INFO",
            task_id=("", "extract", "load")[n % 3] if n != 700 else "load",
            message=f"Failed\nno such table after {n}" if n == 700 else f"row {n}",
        )
        for n in range(1, 1001)
    )
    return run


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="L(\d+)"', page)]


def url(run: Run, query: str = "") -> str:
    return reverse("runs:log", args=[run.pk]) + query


def test_a_log_opens_at_its_end_and_any_place_is_one_link_away(browse: Any, run: Run, vera: Any) -> None:
    client = browse(vera)
    page = client.get(url(run)).content.decode()
    assert numbers(page) == list(range(701, 1001))
    assert 'href="' + url(run, "?line=700#L700") in page  # the first error
    older = client.get(url(run, "?before=701")).content.decode()
    assert numbers(older) == list(range(401, 701))
    assert "Newer lines" in older
    assert numbers(client.get(url(run, "?after=0")).content.decode()) == list(range(1, 301))
    assert "hx-get" not in page  # it has ended


def test_a_line_has_an_address_that_shows_it_among_its_neighbours(browse: Any, run: Run, vera: Any) -> None:
    page = browse(vera).get(url(run, "?line=500")).content.decode()
    assert numbers(page) == list(range(350, 650))
    assert 'marked" id="L500"' in page


def test_the_failure_leads_to_its_line(browse: Any, run: Run, vera: Any) -> None:
    page = browse(vera).get(reverse("runs:run", args=[run.pk])).content.decode()
    assert f'href="{url(run, "?line=700#L700")}"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?level=ERROR", [700]),
        ("?level=WARNING&task=load", [200, 500, 700, 800]),
        ("?q=TABLE", [700]),
        ("?q=/^row+100[0-9]*$/", [100, 1000]),
        ("?q=/^row (99|100)$/", [99, 100]),
        ("?q=row+100&task=-", []),
        ("?q=row+999&task=-", [999]),
        ("?task=nobody", []),
    ],
)
def test_lines_are_found_by_task_level_text_and_pattern(
    browse: Any, run: Run, vera: Any, query: str, found: list[int]
) -> None:
    response = browse(vera).get(url(run, query))
    assert response.status_code == 200
    assert numbers(response.content.decode()) == found
    text = b"".join(browse(vera).get(url(run, query).replace("/log/", "/log.txt")).streaming_content).decode()
    assert text.count("Z ") == len(found)  # what is filtered is downloaded filtered


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?q=/[(/", "Is no regular expression: brackets [] not balanced."),
        ("?level=LOUD", "Select a valid choice"),
        ("?line=0", "greater than or equal to 1"),
        ("?after=x", "Enter a whole number"),
        ("?task=%00", "Null characters are not allowed"),
        ("?q=%00", "Null characters are not allowed"),
    ],
)
def test_what_can_not_be_searched_says_why(browse: Any, run: Run, vera: Any, query: str, said: str) -> None:
    response = browse(vera).get(url(run, query))
    assert response.status_code == 422
    assert said in response.content.decode()
    assert browse(vera).get(url(run, query).replace("/log/", "/log.txt")).status_code == 422


def test_a_log_that_is_followed_asks_for_what_comes(browse: Any, run: Run, vera: Any) -> None:
    Run.objects.filter(pk=run.pk).update(status="RUNNING", failure=None)
    client = browse(vera)
    page = client.get(url(run)).content.decode()
    (more,) = re.findall(r'id="more" hx-get="([^"]+)"', page)
    assert more == url(run, "?follow=1000")
    ask = {"headers": {"HX-Request": "true"}}
    assert client.get(more, **ask).status_code == 204
    LogLine.objects.create(run=run, sequence=1001, time=run.created_at, level="INFO", task_id="", message="<b>came</b>")
    part = client.get(more, **ask).content.decode()
    assert numbers(part) == [1001]
    assert "&lt;b&gt;came" in part
    assert "?follow=1001" in part
    assert "<html" not in part
    Run.objects.filter(pk=run.pk).update(status="SUCCEEDED")
    assert "hx-get" not in client.get(url(run, "?follow=1001"), **ask).content.decode()  # and no longer


def test_patterns_and_tasks_by_the_api(api: Any, run: Run, bob: Any) -> None:
    client = api(bob)
    found = client.get(f"/runs/{run.pk}/logs?q=/^row (99|100)$/").json()["items"]
    assert [line["sequence"] for line in found] == [99, 100]
    refused = client.get(f"/runs/{run.pk}/logs?q=/[(/")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "q"
    own = client.get(f"/runs/{run.pk}/logs?task_id=-&limit=1").json()["items"]
    assert own[0]["task_id"] is None


def test_colours_of_a_terminal_are_drawn_and_nothing_else_of_it() -> None:
    assert coloured("\x1b[1;31mfailed\x1b[0m <b>") == '<span class="ansi-1 strong">failed</span> &lt;b&gt;'
    assert coloured("\x1b[38;5;196mred\x1b[2K\x1b[39m") == "red"
    assert coloured("\x1b]0;title\x07\x1b[999mx") == "␛]0;title␇x"
    assert coloured("plain & simple") == "plain &amp; simple"


def test_a_long_message_is_cut_on_the_page_and_whole_in_the_download(browse: Any, run: Run, vera: Any) -> None:
    LogLine.objects.create(run=run, sequence=1001, time=run.created_at, level="INFO", task_id="", message="x" * 100_000)
    page = browse(vera).get(url(run)).content.decode()
    assert "96,000 more characters" in page
    text = b"".join(browse(vera).get(url(run).replace("/log/", "/log.txt")).streaming_content)
    assert text.count(b"x") >= 100_000
