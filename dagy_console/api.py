"""The JSON API: every app's router."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition
from django.views.decorators.vary import vary_on_headers

import dagy_console
from dagy_console.accounts.api import router as accounts
from dagy_console.accounts.api_keys.api import router as api_keys
from dagy_console.accounts.impersonation.api import router as impersonations
from dagy_console.accounts.sessions.api import router as sessions
from dagy_console.accounts.team.api import router as team
from dagy_console.alerts.channels.api import router as channels
from dagy_console.alerts.deliveries.api import router as deliveries
from dagy_console.alerts.firings.api import router as alerts
from dagy_console.alerts.rotations.api import router as rotations
from dagy_console.alerts.rules.api import router as rules
from dagy_console.alerts.silences.api import router as silences
from dagy_console.audit.api import router as audit
from dagy_console.core.api import ConsoleApi
from dagy_console.core.http import read_only
from dagy_console.customers.api import router as customers
from dagy_console.exceptions.api import router as exceptions
from dagy_console.exceptions.deletions.api import router as deletions
from dagy_console.exceptions.groups.api import router as groups
from dagy_console.runs.api import router as flows
from dagy_console.runs.schedules.api import router as schedules
from dagy_console.runs.secrets.api import router as secrets

api = ConsoleApi(
    title="Dagy Console",
    version=dagy_console.__version__,
    description="The API beside the console. Errors are RFC 9457 problem details; lists are keyset pages.",
    docs_url="/docs",
    docs_decorator=read_only,
    openapi_url="/openapi.json",
)
for router in (
    accounts,
    api_keys,
    team,
    impersonations,
    sessions,
    customers,
    flows,
    schedules,
    secrets,
    exceptions,
    deletions,
    groups,
    rules,
    alerts,
    silences,
    rotations,
    channels,
    deliveries,
    audit,
):
    api.add_router("", router)


def _etag(request: HttpRequest) -> str:
    return api.document().etag


@read_only
@condition(etag_func=_etag)
@vary_on_headers("Accept-Encoding")
def openapi(request: HttpRequest) -> HttpResponse:
    """The description of the API, as it was built and compressed at the start."""
    document, headers = api.document(), {"Cache-Control": "no-cache"}
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return HttpResponse(document.text, content_type="application/json", headers=headers)
    headers |= {"Content-Encoding": "gzip"}
    return HttpResponse(document.compressed, content_type="application/json", headers=headers)
