"""Answers that hand a trace out, as both doors give them."""

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from dagy_console.core.errors import ConsoleError
from dagy_console.core.http import ConsoleRequest
from dagy_console.exceptions.trace.services import record_reading
from dagy_console.exceptions.trace.stored import open_stored, stored_size


class CrossSite(ConsoleError):
    status = 403
    title = "Asked for by another site"


def stored_response(request: ConsoleRequest, key: str) -> HttpResponseBase:
    """The object's bytes as they are, on record; a HEAD gets none and is none."""
    if request.is_head:
        response: HttpResponseBase = HttpResponse(content_type="application/json")
        response["Content-Length"] = str(stored_size(request.actor, key))
        return response
    stream = open_stored(request.actor, key)
    try:
        record_reading(actor=request.actor, key=key)
    except BaseException:
        stream.close()
        raise
    response = StreamingHttpResponse(stream, content_type="application/json")
    response["Content-Length"] = str(stream.size)
    return response


def refuse_other_sites(request: ConsoleRequest) -> None:
    """Raises CrossSite: what is recorded as somebody's doing must not be done by a link on a stranger's page."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise CrossSite("A page of another site led here, and nothing was handed out. Ask from the console itself.")
