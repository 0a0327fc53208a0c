from django.urls import path

from dagy_console.alerts.channels import views

app_name = "channels"
urlpatterns = [
    path("", views.channels, name="list"),
    path("new/", views.new_channel, name="new"),
    path("<uuid:channel_id>/", views.channel, name="channel"),
    path("<uuid:channel_id>/test/", views.test_channel, name="test"),
    path("<uuid:channel_id>/ask/", views.ask_recipients, name="ask"),
    path("<uuid:channel_id>/rotate/", views.rotate_secret, name="rotate"),
    path("<uuid:channel_id>/delete/", views.delete_channel, name="delete"),
]
