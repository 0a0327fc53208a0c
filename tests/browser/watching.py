"""What a page must never do unnoticed: log an error, break its content policy, lose a request, open a dialog."""

import re

from playwright.sync_api import BrowserContext, Dialog, Request

# An answer that the page did not wait for any longer: it went elsewhere, or it became a download.
_GIVEN_UP = "net::ERR_ABORTED"
_LISTEN = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`));
"""


class Watcher:
    """Collects what goes wrong in a browser context; `allow` names what a test brings about itself."""

    def __init__(self, context: BrowserContext) -> None:
        self.problems: list[str] = []
        self._allowed: list[str] = []
        context.add_init_script(_LISTEN)
        context.on("console", lambda said: said.type == "error" and self._note(f"console: {said.text}"))
        context.on("weberror", lambda error: self._note(f"page error: {error.error}"))
        context.on("requestfailed", self._note_request)
        context.on("dialog", self._note_dialog)

    def allow(self, pattern: str) -> None:
        self._allowed.append(pattern)

    def check(self) -> None:
        """Fails the test where something went wrong that it did not ask for."""
        problems = [text for text in self.problems if not any(re.search(allowed, text) for allowed in self._allowed)]
        assert not problems, "\n".join(problems)

    def _note(self, text: str) -> None:
        self.problems.append(text)

    def _note_request(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self._note(f"request failed: {request.url}: {request.failure}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()
