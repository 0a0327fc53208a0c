"""Traces are written by strangers: what they put into any field is text, and nothing else."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from dagy import capture
from tests.browser.stack import Stack, trace_json

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg/onload=alert(3)>",
    '"><script>alert(4)</script>',
    "'><img src=x onerror='alert(5)'>",
    "</title></textarea></pre></script><script>alert(6)</script>",
    "javascript:alert(7)",
    '<a href="javascript:alert(8)">click</a>',
    '<div hx-get="/console/hostile" hx-trigger="load"></div>',
    '" hx-get="/console/hostile" hx-trigger="load" x="',
    '<form action="/accounts/logout/" method="post"><button autofocus>x</button></form>',
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=/console/hostile>",
    "{{ request.user }}{% debug %}${7*7}<%= 7*7 %>",
    "&lt;script&gt;alert(9)&lt;/script&gt;&#60;b&#62;",
    "<iframe srcdoc='<script>parent.alert(10)</script>'></iframe>",
)


def hostile(payload: str) -> dict[str, Any]:
    """A body with `payload` in every place that a page shows."""
    return {
        "request_id": payload,
        "function_name": payload,
        "exception_type": payload,
        "exception_message": payload,
        "traceback": "Traceback (most recent call last):\n"
        f'  File "/srv/{payload}.py", line 7, in {payload}\n    {payload}\n'
        f'  File "/srv/lib/python3.11/site-packages/{payload}.py", line 7, in f\n    {payload}\n'
        f"{payload}: {payload}\n",
        "http_method": payload,
        "http_path": payload,
        "org_id": payload,
        "event": {
            payload: payload,
            "headers": {payload: payload},
            "query": {payload: payload},
            "body": {payload: [payload]},
        },
        payload: {payload: payload},
    }


def put(stack: Stack, number: int, payload: str) -> str:
    key = f"exceptions/org_hostile/2026/01/15/1030000000{number:02d}_hostile.json"
    names = ("exception-type", "http-method", "http-path", "request-id", "org-id")
    metadata = capture.encode_metadata(dict.fromkeys(names, payload))
    stack.bucket.put_bytes(key, trace_json(**hostile(payload)), metadata)
    return key


@pytest.mark.slow("sixteen hostile traces, each on its page")
def test_nothing_that_a_stranger_wrote_is_executed_or_hidden(page: Page, stack: Stack) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(_path(request)))
    keys = [put(stack, number, payload) for number, payload in enumerate(PAYLOADS)]
    stack.wait_until_indexed("org_hostile", len(keys))
    page.goto("/console/exceptions/?q=org%3Aorg_hostile")
    expect(page.locator("#results [data-open]")).to_have_count(len(keys))
    listed = page.locator("#results .rows").inner_text()
    for payload, key in zip(PAYLOADS, keys, strict=True):
        assert payload in listed
        page.goto(f"/console/exceptions/trace?key={key}")
        assert page.get_by_role("heading", level=1).inner_text().startswith(payload.split("\n")[0])
        assert page.locator(".trace-message").text_content() == payload
        tree = page.locator("#json").text_content() or ""
        assert tree.count(payload) > 5
        assert json.dumps(payload)[1:-1] in (page.locator("#raw-text").text_content() or "")
        page.get_by_role("button", name="Expand all").click()
        page.get_by_role("searchbox", name="Search the JSON").fill(payload)
        expect(page.locator("[data-tree-count]")).to_contain_text("match")
        assert page.locator("main script, main img, main iframe, main style, main meta, main [onload]").count() == 0
        assert page.locator("main #traceback form, main #json form").count() == 0
    assert not [path for path in asked if "hostile" in path and "org_hostile" not in path]
    assert not page.evaluate("[...document.links].some((link) => link.protocol === 'javascript:')")


def test_a_facet_and_a_term_of_a_hostile_search_are_text_too(page: Page, stack: Stack) -> None:
    put(stack, 99, PAYLOADS[0])
    for query in (
        "key%3Aexceptions/org_hostile/*",
        "%22%3Cscript%3Ealert(1)%3C/script%3E%22",
        "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
    ):
        page.goto(f"/console/exceptions/?q={query}")
        expect(page.get_by_role("heading", name="Exceptions", level=1)).to_be_visible()
        assert page.locator("main script, main img").count() == 0


def _path(request: Request) -> str:
    return request.url.split("/", 3)[-1]
