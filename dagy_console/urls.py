"""Every address of the product. The API's paths have no prefix; the console's begin with /console/."""

from django.conf import settings
from django.urls import include, path

from dagy_console import access, home
from dagy_console.accounts.team import views as team
from dagy_console.alerts.channels import by_link
from dagy_console.alerts.firings import views as alerts
from dagy_console.api import api, openapi
from dagy_console.core import views as core
from dagy_console.demo.api import router as demo

handler400 = "dagy_console.core.problems.bad_request"
handler403 = "dagy_console.core.problems.forbidden"
handler404 = "dagy_console.core.problems.not_found"
# allauth's, for who changes or proves something too often.
handler429 = "dagy_console.core.problems.too_many_requests"
handler500 = "dagy_console.core.problems.internal_error"

if settings.DEMO:
    api.add_router("", demo)

urlpatterns = [
    path("", home.root),
    path("console/", home.home, name="home"),
    path("console/system/", home.system, name="system"),
    path("console/system/access/", access.page, name="access"),
    path("console/preferences/", core.preferences, name="preferences"),
    path("console/exceptions/", include("dagy_console.exceptions.urls")),
    path("console/runs/secrets/", include("dagy_console.runs.secrets.urls")),
    path("console/runs/schedules/", include("dagy_console.runs.schedules.urls")),
    path("console/runs/", include("dagy_console.runs.urls")),
    path("console/alerts/channels/", include("dagy_console.alerts.channels.urls")),
    path("console/alerts/deliveries/", include("dagy_console.alerts.deliveries.urls")),
    path("console/alerts/silences/", include("dagy_console.alerts.silences.urls")),
    path("console/alerts/on-call/", include("dagy_console.alerts.rotations.urls")),
    path("console/alerts/rules/", include("dagy_console.alerts.rules.urls")),
    path("console/alerts/", include("dagy_console.alerts.firings.urls")),
    path("console/account/api-keys/", include("dagy_console.accounts.api_keys.urls")),
    path("console/", include("dagy_console.accounts.urls")),
    path("console/customers/", include("dagy_console.customers.urls")),
    path("console/audit/", include("dagy_console.audit.urls")),
    path("alerts/confirm/<str:token>/", by_link.confirm, name="alert_confirm"),
    path("alerts/stop/<str:token>/", by_link.stop, name="alert_stop"),
    path("alerts/<str:token>/", alerts.by_link, name="alert_link"),
    path("accounts/invitations/<str:token>/", team.invitation, name="account_invitation"),
    path("", include("dagy_console.accounts.account_urls")),
    path("metrics", core.metrics_report),
    path("health", core.health_report),
    path("health/live", core.health_live),
    path("openapi.json", openapi),
    path("", api.urls),
]
