"""Everything the page of one trace shows, built from the stored bytes, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagy_console.core import words
from dagy_console.core.visible import visible
from dagy_console.exceptions.reading.fields import BODY_FIELDS, METADATA_FIELDS, kind_of, read_long_string
from dagy_console.exceptions.reading.fingerprints import MAX_TEXT
from dagy_console.exceptions.reading.json_body import Body, check_json, decode_body, load_span, scan_words
from dagy_console.exceptions.reading.stacks import parse
from dagy_console.exceptions.reading.tracebacks import with_message
from dagy_console.exceptions.trace.preview.curl import build_curl
from dagy_console.exceptions.trace.preview.frames import Section, SectionBuilder
from dagy_console.exceptions.trace.preview.json_tree import MAX_COUNTED, Node, Span, TreeReader
from dagy_console.exceptions.trace.preview.problems import find_problems
from dagy_console.exceptions.trace.preview.request import RawRequest, RequestView, read_request, show_request
from dagy_console.exceptions.trace.preview.text import hex_dump, is_binary, shorten

MAX_FIELD = 10_000
MAX_MEMBER = 256 * 1024
MAX_RAW, MAX_HEX = 256 * 1024, 4 * 1024


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field of the contract, in the body and in the metadata; None where it is not there."""

    name: str
    value: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a trace. All texts are safe to look at (control characters are visible signs) and not yet
    escaped.

    `problems` are sentences on what is wrong. `exceptions` are in printed order, the raised one last. `*_note` say what
    of a text is not shown, or are empty. `tree` is None where the body is not JSON at all; `curl` where there was no
    request.
    """

    key: str
    size: int
    truncated: bool
    problems: tuple[str, ...]
    fields: tuple[FieldView, ...]
    exceptions: tuple[Section, ...]
    traceback: str
    traceback_note: str
    request: RequestView | None
    curl: str | None
    curl_notes: tuple[str, ...]
    tree: Node | None
    raw: str
    raw_note: str

    def field(self, name: str) -> str | None:
        """The body's text of a field, else the metadata's; None where neither has it."""
        found = next((field for field in self.fields if field.name == name), None)
        return None if found is None else found.value or found.metadata


def build_preview(
    raw: bytes, *, key: str, size: int, truncated: bool, metadata: Mapping[str, str], base_url: str
) -> Preview:
    """Build the preview of the object `key`. Never raises; time and memory stay bounded for any bytes.

    `size` is the object's size in bytes, `truncated` says that `raw` is only its beginning, `metadata` is decoded with
    lower-case names, `base_url` is where the request can be sent again.
    """
    body = decode_body(raw)
    shown, note = _raw(body, size if truncated else len(body.data))
    truncated = truncated or body.truncated
    reader = TreeReader(body.data)
    tree = reader.read(body.start)
    texts = _read_texts(body.data, reader.spans)
    traceback, traceback_note = _read_traceback(body.data, reader.spans.get(("traceback",)))
    request, cuts = _read_request(body.data, reader.spans, texts, metadata)
    curl = build_curl(request, base_url=base_url, body_was_cut="event.body" in cuts) if request else None
    return Preview(
        key=visible(key),
        size=size,
        truncated=truncated,
        problems=_problems(body, reader, tree, texts, key=key, size=size, truncated=truncated, metadata=metadata),
        fields=_fields(texts, metadata),
        exceptions=_sections(traceback, texts.get("exception_message", "")),
        traceback=visible(traceback),
        traceback_note=traceback_note,
        request=show_request(request, cuts) if request else None,
        curl=curl.text if curl else None,
        curl_notes=curl.notes if curl else (),
        tree=tree,
        raw=shown,
        raw_note=note,
    )


def _raw(body: Body, size: int) -> tuple[str, str]:
    """The body as text, or where it is none as hexadecimal numbers; and what of it is not shown."""
    if is_binary(body.data):
        part = f", the first {words.size(MAX_HEX)} of {words.size(size)}" if size > MAX_HEX else ""
        return hex_dump(body.data[:MAX_HEX]), f"No text: byte by byte{part}."
    text = visible(body.data[body.start : body.start + MAX_RAW].decode("utf-8", "replace"))
    if size <= MAX_RAW:
        return text, ""
    return text, f"The first {words.size(MAX_RAW)} of {words.size(size)} are shown; download the trace for the rest."


def _read_texts(data: bytes, spans: Mapping[tuple[str, ...], Span]) -> dict[str, str]:
    """The contract's fields that are text, except for the traceback."""
    texts = {}
    for name in BODY_FIELDS:
        span = spans.get((name,))
        if span is not None and name != "traceback" and kind_of(data, span[0]) == "text":
            texts[name] = read_long_string(data, *span)[0]
    return texts


def _read_traceback(data: bytes, span: Span | None) -> tuple[str, str]:
    if span is None or kind_of(data, span[0]) != "text":
        return "", ""
    text, is_cut = read_long_string(data, *span)
    if not is_cut:
        return text, ""
    whole, part = words.size(span[1] - span[0]), words.size(MAX_TEXT // 2)
    return text, f"The traceback has about {whole}: its first and last {part} are shown."


def _sections(traceback: str, message: str) -> tuple[Section, ...]:
    chain = parse(traceback)
    if chain:
        chain = (*chain[:-1], with_message(chain[-1], message))
    return SectionBuilder().build(chain)


def _read_request(
    data: bytes, spans: Mapping[tuple[str, ...], Span], texts: Mapping[str, str], metadata: Mapping[str, str]
) -> tuple[RawRequest | None, dict[str, Any]]:
    members = {
        path[1]: load_span(data, span, limit=MAX_MEMBER)
        for path, span in spans.items()
        if len(path) == 2 and path[0] == "event"
    }
    cuts = load_span(data, spans.get(("truncated",)), limit=MAX_MEMBER)
    cuts = dict(cuts) if isinstance(cuts, dict) else {}
    for path, span in spans.items():
        if len(path) == 2 and path[0] == "event" and span[1] - span[0] > MAX_MEMBER:
            members[path[1]] = read_long_string(data, *span)[0] if kind_of(data, span[0]) == "text" else None
            cuts.setdefault(f"event.{path[1]}", span[1] - span[0])
    method = texts.get("http_method") or metadata.get("http-method")
    path_text = texts.get("http_path") or metadata.get("http-path")
    return read_request(members, method=method, path=path_text), cuts


def _fields(texts: Mapping[str, str], metadata: Mapping[str, str]) -> tuple[FieldView, ...]:
    headers = {name: header for header, name in METADATA_FIELDS.items()}
    return tuple(
        FieldView(name, _shown(texts.get(name)), _shown(metadata.get(headers.get(name, ""))))
        for name in BODY_FIELDS
        if name != "traceback"
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else visible(shorten(text, MAX_FIELD)[0])


def _problems(
    body: Body,
    reader: TreeReader,
    tree: Node | None,
    texts: Mapping[str, str],
    *,
    key: str,
    size: int,
    truncated: bool,
    metadata: Mapping[str, str],
) -> tuple[str, ...]:
    problems = list(body.problems)
    wrong = ""
    if truncated:
        read, whole_size = words.size(len(body.data)), words.size(size)
        problems.append(f"Only the first {read} of {whole_size} were read; download the trace for the rest.")
    elif not body.data.strip():
        return ("The body is empty.", *find_problems(None, {}, key=key, metadata=metadata))
    else:
        wrong = check_json(body) or (scan_words(body, reader.error) if reader.error else "")
        problems += [wrong] if wrong else []
    if reader.has_constants and not wrong:
        problems.append("The body holds NaN or Infinity, which JSON does not know; other readers will refuse it.")
    for path in reader.repeated:
        problems.append(f"{path[:200]} is there more than once; the last one counts.")
    kinds = None
    if tree is not None and tree.kind == "object":
        kinds = {path[0]: kind_of(body.data, span[0]) for path, span in reader.spans.items() if len(path) == 1}
    elif tree is not None and not reader.error:
        problems.append(f"The body is JSON, but not an object: it is of kind {tree.kind}.")
    if reader.skipped_fields:
        problems.append(f"The body has more than {MAX_COUNTED:,} fields; the others were not read.")
    whole = not truncated and reader.error is None and not reader.skipped_fields
    return (*problems, *find_problems(kinds, texts, key=key, metadata=metadata, whole=whole))
