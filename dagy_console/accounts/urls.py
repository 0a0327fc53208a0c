from django.urls import path

from dagy_console.accounts.impersonation import views as impersonation

app_name = "accounts"
urlpatterns = [
    path("impersonations/", impersonation.impersonations, name="impersonations"),
    path("impersonations/new/", impersonation.start, name="impersonation-start"),
    path("impersonations/end/", impersonation.end_own, name="impersonation-end"),
    path("impersonations/<uuid:impersonation_id>/end/", impersonation.end_other, name="impersonation-end-other"),
]
