from django.urls import path

from dagy_console.alerts.firings import views

app_name = "alerts"
urlpatterns = [
    path("", views.alerts, name="list"),
    path("<uuid:alert_id>/", views.alert, name="alert"),
    path("<uuid:alert_id>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<uuid:alert_id>/unacknowledge/", views.unacknowledge, name="unacknowledge"),
    path("<uuid:alert_id>/resolve/", views.resolve, name="resolve"),
]
