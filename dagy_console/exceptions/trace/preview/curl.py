"""A stored request as a curl command that is safe to paste: quoted for the shell, secrets as variables to be set."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from urllib.parse import quote

from dagy_console.core.visible import visible
from dagy_console.exceptions.trace.preview.request import SCRUBBED, RawRequest, is_scrubbed, query_text

MAX_HEADERS = 100
MAX_BODY = 16 * 1024
# curl sets these itself, or they belong to the connection that is gone.
_OWN_HEADERS = frozenset(
    (
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "accept-encoding",
        "keep-alive",
        "upgrade",
        "expect",
        "te",
    )
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_METHOD = re.compile(r"[A-Za-z]{1,20}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::\d{1,5})?")
_ORIGIN = re.compile(r"https?://[^/]*", re.IGNORECASE)
_MARK = re.compile("|".join(re.escape(mark) for mark in SCRUBBED))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class CurlCommand:
    """The command, and sentences on what must be set or is missing before it does what the request did."""

    text: str
    notes: tuple[str, ...]


def build_curl(request: RawRequest, *, base_url: str, body_was_cut: bool = False) -> CurlCommand | None:
    """Write the request as curl; None where the method or the path is not known or is not one.

    It goes to `base_url`, never to the stored host, which whoever made the request has chosen: secrets are put into it.
    """
    if not _METHOD.fullmatch(request.method) or not request.path:
        return None
    notes: list[str] = []
    words = ["curl --globoff"]
    if request.method != ("GET" if request.body is None else "POST"):
        words.append(f"-X {request.method}")
    words.append(_url(request, base_url, notes))
    words += _headers(request, notes)
    if request.body is not None:
        words.append(f"--data-raw {_body(request.body, notes, was_cut=body_was_cut)}")
    return CurlCommand(_sent_to(request) + " \\\n  ".join(words), tuple(notes))


def _sent_to(request: RawRequest) -> str:
    host = next((value for name, value in request.headers if name.lower() == "host"), "")
    return f"# It was sent to the host {host}\n" if _HOST.fullmatch(host) else ""


def _url(request: RawRequest, base_url: str, notes: list[str]) -> str:
    bare = _ORIGIN.sub("", request.path.partition("?")[0]).lstrip("/").encode("utf-8", "replace")
    path = "/" + quote(bare, safe="/%:@!$&'()*+,;=~{}-._")
    query = query_text(request.query)
    if is_scrubbed(" ".join(value for _, value in request.query)):
        notes.append("A value of the query was scrubbed by the writer: put the real one in.")
    return shlex.quote(base_url + (f"{path}?{query}" if query else path))


def _headers(request: RawRequest, notes: list[str]) -> list[str]:
    words: list[str] = []
    refused = 0
    for name, value in request.headers[:MAX_HEADERS]:
        if name.lower() in _OWN_HEADERS:
            continue
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            refused += 1
            continue
        words.append(f"-H {_quoted(f'{name}: {value}', name, notes)}")
    if refused:
        notes.append(f"{refused} headers that are not valid in HTTP were left out.")
    if len(request.headers) > MAX_HEADERS:
        notes.append(f"Only the first {MAX_HEADERS} of {len(request.headers):,} headers are in the command.")
    return words


def _body(body: str, notes: list[str], *, was_cut: bool) -> str:
    if was_cut or len(body) > MAX_BODY:
        notes.append("The body was cut: the command sends only its beginning, so the answer may differ.")
    shown = visible(body[:MAX_BODY])
    if shown != body[:MAX_BODY].replace("\r\n", "\n"):
        notes.append(
            "The body holds control characters: they are written as visible signs, so it is not sent as it was."
        )
    return _quoted(shown, "body", notes)


def _quoted(text: str, name: str, notes: list[str]) -> str:
    """Quote for the shell; scrubbed parts become a variable, outside of the single quotes."""
    text = visible(text)
    if not is_scrubbed(text):
        return shlex.quote(text)
    variable = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SECRET"
    variable = f"_{variable}" if variable[0].isdigit() else variable
    sentence = f"{name} was scrubbed by the writer: set {variable} first."
    if sentence not in notes:
        notes.append(sentence)
    return f'"${variable}"'.join(shlex.quote(part) if part else "" for part in _MARK.split(text))
