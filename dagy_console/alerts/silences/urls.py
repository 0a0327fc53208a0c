from django.urls import path

from dagy_console.alerts.silences import views

app_name = "silences"
urlpatterns = [
    path("", views.silences, name="list"),
    path("new/", views.new_silence, name="new"),
    path("<uuid:silence_id>/", views.silence, name="silence"),
    path("<uuid:silence_id>/end/", views.end_silence, name="end"),
]
