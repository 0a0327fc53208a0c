from django.urls import path

from dagy_console.exceptions import views
from dagy_console.exceptions.deletions import views as deletions
from dagy_console.exceptions.groups import views as groups

app_name = "exceptions"
urlpatterns = [
    path("", views.traces, name="list"),
    path("trace", views.trace, name="trace"),
    path("content", views.content, name="content"),
    path("download", views.download, name="download"),
    path("compare/", groups.comparison, name="comparison"),
    path("groups/", groups.groups, name="groups"),
    path("groups/<str:fingerprint>/", groups.group, name="group"),
    path("groups/<str:fingerprint>/analysis/", groups.analysis, name="group-analysis"),
    path("groups/<str:fingerprint>/status/", groups.set_status, name="group-status"),
    path("deletions/", deletions.deletions, name="deletions"),
    path("deletions/confirm/", deletions.confirm_deletion, name="deletion-confirm"),
    path("deletions/start/", deletions.start_deletion, name="deletion-start"),
    path("deletions/<uuid:job_id>/", deletions.deletion_progress, name="deletion"),
    path("deletions/<uuid:job_id>/cancel/", deletions.cancel_deletion, name="deletion-cancel"),
]
