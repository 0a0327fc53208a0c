from django.urls import path

from dagy_console.exceptions import views

app_name = "exceptions"
urlpatterns = [
    path("", views.traces, name="list"),
    path("trace", views.trace, name="trace"),
    path("content", views.content, name="content"),
    path("download", views.download, name="download"),
    path("deletions/", views.deletions, name="deletions"),
    path("deletions/confirm/", views.confirm_deletion, name="deletion-confirm"),
    path("deletions/start/", views.start_deletion, name="deletion-start"),
    path("deletions/<uuid:job_id>/", views.deletion_progress, name="deletion"),
    path("deletions/<uuid:job_id>/cancel/", views.cancel_deletion, name="deletion-cancel"),
]
