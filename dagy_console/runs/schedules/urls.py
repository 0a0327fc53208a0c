from django.urls import path

from dagy_console.runs.schedules import views

app_name = "schedules"
urlpatterns = [
    path("", views.schedules, name="list"),
    path("new/", views.new_schedule, name="new"),
    path("<uuid:schedule_id>/", views.schedule, name="schedule"),
    path("<uuid:schedule_id>/pause/", views.pause_schedule, name="pause"),
    path("<uuid:schedule_id>/delete/", views.delete_schedule, name="delete"),
]
