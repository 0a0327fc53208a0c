"""Answers that hand a trace out, as both doors give them."""

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from dagy_console.core.http import ConsoleRequest
from dagy_console.exceptions.trace.services import record_reading
from dagy_console.exceptions.trace.stored import open_stored, stored_size


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
