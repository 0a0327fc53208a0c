from django.urls import path

from dagy_console.accounts.api_keys import views

app_name = "api-keys"
urlpatterns = [
    path("", views.keys, name="list"),
    path("new/", views.new_key, name="new"),
    path("<uuid:key_id>/revoke/", views.revoke, name="revoke"),
]
