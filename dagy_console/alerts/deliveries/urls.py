from django.urls import path

from dagy_console.alerts.deliveries import views

app_name = "deliveries"
urlpatterns = [
    path("", views.deliveries, name="list"),
    path("<uuid:delivery_id>/resend/", views.resend, name="resend"),
]
