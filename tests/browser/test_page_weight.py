"""Pages are light: they are opened at night, on a phone, over a bad line."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenAs

FIRST_PAGE_BYTES = 60_000
LATER_PAGE_BYTES = 20_000
REQUESTS = 6


@dataclass
class Wire:
    """What goes over it, headers included: (kind of resource, bytes) of each request."""

    seen: list[tuple[str, int]] = field(default_factory=list)
    _kinds: dict[str, str] = field(default_factory=dict)

    def listen(self, page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._note_kind)
        session.on("Network.loadingFinished", self._note_bytes)

    def _note_kind(self, event: dict[str, Any]) -> None:
        self._kinds[event["requestId"]] = event["type"]

    def _note_bytes(self, event: dict[str, Any]) -> None:
        self.seen.append((self._kinds.get(event["requestId"], ""), int(event["encodedDataLength"])))

    def html(self) -> int:
        return sum(size for kind, size in self.seen if kind == "Document")


def test_the_first_page_after_signing_in_and_the_later_ones_are_light(open_as: OpenAs) -> None:
    page = open_as("alice")
    wire = Wire()
    wire.listen(page)
    page.goto("/console/", wait_until="networkidle")
    assert len(wire.seen) <= REQUESTS, wire.seen
    assert sum(size for _, size in wire.seen) <= FIRST_PAGE_BYTES, wire.seen
    weights = {}
    for path in ("/console/exceptions/", "/console/audit/", "/console/system/", "/console/exceptions/deletions/"):
        wire.seen.clear()
        page.goto(path, wait_until="networkidle")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        weights[path] = wire.html()
    assert all(0 < weight <= LATER_PAGE_BYTES for weight in weights.values()), weights
