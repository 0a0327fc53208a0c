from django.urls import path

from dagy_console.alerts.rotations import views

app_name = "rotations"
urlpatterns = [
    path("", views.rotations, name="list"),
    path("new/", views.new_rotation, name="new"),
    path("<uuid:rotation_id>/", views.rotation, name="rotation"),
    path("<uuid:rotation_id>/change/", views.change_rotation, name="change"),
    path("<uuid:rotation_id>/delete/", views.delete_rotation, name="delete"),
    path("<uuid:rotation_id>/overrides/", views.create_override, name="override"),
    path("<uuid:rotation_id>/overrides/<uuid:override_id>/end/", views.end_override, name="override-end"),
]
