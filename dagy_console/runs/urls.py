from django.urls import path

from dagy_console.runs import views

app_name = "runs"
urlpatterns = [
    path("", views.runs, name="list"),
    path("new/", views.new_run, name="new"),
    path("all/<str:deed>/", views.many_runs, name="many"),
    path("stuck/", views.stuck_runs, name="stuck"),
    path("<uuid:run_id>/", views.run, name="run"),
    path("<uuid:run_id>/log/", views.run_log, name="log"),
    path("<uuid:run_id>/log.txt", views.log_text, name="log-text"),
    path("<uuid:run_id>/graph/", views.run_graph, name="graph"),
    path("<uuid:run_id>/changes/", views.run_changes, name="changes"),
    path("<uuid:run_id>/task/", views.run_task, name="task"),
    path("<uuid:run_id>/artifact/", views.artifact, name="artifact"),
    path("<uuid:run_id>/artifact/download/", views.download_artifact, name="artifact-download"),
    path("<uuid:run_id>/retry/", views.retry_run, name="retry"),
    path("<uuid:run_id>/cancel/", views.cancel_run, name="cancel"),
]
