from django.urls import path

from dagy_console.runs import views

app_name = "runs"
urlpatterns = [
    path("", views.runs, name="list"),
    path("new/", views.new_run, name="new"),
    path("stuck/", views.stuck_runs, name="stuck"),
    path("<uuid:run_id>/", views.run, name="run"),
    path("<uuid:run_id>/cancel/", views.cancel_run, name="cancel"),
]
