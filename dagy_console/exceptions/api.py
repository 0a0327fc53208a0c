"""`/admin/exceptions`."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Field, Query, Schema
from pydantic import AfterValidator

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, DownloadOut, QueryParams, StrictRouter
from dagy_console.core.errors import NotAuthenticated
from dagy_console.core.http import bearer_token, refuse_other_sites
from dagy_console.exceptions import selectors
from dagy_console.exceptions.deletions.services import delete_keys
from dagy_console.exceptions.index import events
from dagy_console.exceptions.keys import MAX_KEY_BYTES
from dagy_console.exceptions.search import TRACES
from dagy_console.exceptions.serializers import trace_out
from dagy_console.exceptions.trace.handing_out import stored_response
from dagy_console.exceptions.trace.services import start_download
from dagy_console.exceptions.trace.stored import downloadable
from dagy_console.listing.api import ListParams, SearchParams, SummaryOut, list_page, summary_out

router = StrictRouter(tags=["exceptions"])


class TraceParams(ListParams, listing=TRACES):
    pass


class TraceSearchParams(SearchParams, listing=TRACES):
    pass


class KeyParams(QueryParams):
    key: str = Field(max_length=1100, description="The S3 key, as the list gives it.")


class TraceOut(Schema):
    key: str
    org_id: str
    timestamp: str
    exception_type: str
    exception_message: str
    http_method: str
    http_path: str
    request_id: str
    function_name: str
    fingerprint: str
    size: int
    last_modified: str
    problems: list[str]


class TracePageOut(Schema):
    items: list[TraceOut]
    next_cursor: str | None


class DeleteIn(BodyIn):
    keys: list[str] = Field(description="1 to 1,000 keys of traces.")


def _shortened(key: str) -> str:
    """A key that S3 could hold, whole; what is longer is none, and need not be sent back."""
    told = key.encode(errors="replace")[:MAX_KEY_BYTES].decode(errors="ignore")
    return key if len(key.encode(errors="replace")) <= MAX_KEY_BYTES else told + "…"


class FailedKeyOut(Schema):
    key: Annotated[str, AfterValidator(_shortened)]
    code: str
    message: str


class DeletedOut(Schema):
    deleted: list[str]
    errors: list[FailedKeyOut]


@router.get("/admin/exceptions", response={200: TracePageOut, **PROBLEMS})
def list_traces(request: ApiRequest, params: Query[TraceParams]) -> dict[str, Any]:
    """Traces of all organizations, newest first."""
    return list_page(TRACES, params, selectors.visible_to(request.actor), out=trace_out)


@router.get("/admin/exceptions/summary", response={200: SummaryOut, **PROBLEMS})
def summary(request: ApiRequest, params: Query[TraceSearchParams]) -> dict[str, Any]:
    """How many traces match, their most frequent values, and how they lie in time."""
    return summary_out(TRACES, params, selectors.visible_to(request.actor))


# Not checked against any schema: what lies in storage may be anything.
_STORED = {"description": "The object's bytes, whatever they are", "content": {"application/json": {"schema": {}}}}


@router.get("/admin/exceptions/content", response={200: None, **PROBLEMS}, openapi_extra={"responses": {200: _STORED}})
def content(request: ApiRequest, params: Query[KeyParams]) -> HttpResponseBase:
    """The stored JSON, unchanged."""
    return stored_response(request, params.key)


@router.get("/admin/exceptions/download", response={200: DownloadOut, **PROBLEMS})
def download(request: ApiRequest, params: Query[KeyParams]) -> Any:
    """A link that downloads the trace, good for 15 minutes without signing in. Recorded in the audit log."""
    refuse_other_sites(request)
    if request.is_head:
        downloadable(request.actor, params.key)
        return HttpResponse(content_type="application/json")
    return start_download(actor=request.actor, key=params.key).out()


@router.delete("/admin/exceptions", response={200: DeletedOut, **BODY_PROBLEMS})
def delete(request: ApiRequest, body: DeleteIn) -> Any:
    """Delete traces by key, now. A key that is gone already counts as deleted."""
    return delete_keys(actor=request.actor, keys=body.keys)


class EventsToken:
    """Ninja's authentication hook of the one door that no person opens."""

    openapi_security_schema = {
        "type": "http",
        "scheme": "bearer",
        "description": "What `manage.py events_token` prints; nothing else opens it.",
    }

    def __call__(self, request: HttpRequest) -> bool:
        if not events.is_token(bearer_token(request.headers.get("Authorization", ""))):
            raise NotAuthenticated("Send `Authorization: Bearer <token>` with what `manage.py events_token` prints.")
        return True


class EventIn(Schema):
    """An event as S3, MinIO (`Records`) or EventBridge (`detail`) sends it; what else it holds is not looked at."""

    Records: Any = None
    detail: Any = None
    Event: Any = None


class SettledOut(Schema):
    indexed: int
    removed: int
    ignored: int


@router.post("/admin/exceptions/events", auth=EventsToken(), response={200: SettledOut, **BODY_PROBLEMS})
def settle_event(request: HttpRequest, body: EventIn) -> Any:
    """Objects were written or are gone: the index looks at each, and takes what lies in the bucket now."""
    return events.settle(body.dict())
