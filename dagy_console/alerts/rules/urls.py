from django.urls import path

from dagy_console.alerts.rules import views

app_name = "rules"
urlpatterns = [
    path("", views.rules, name="list"),
    path("new/", views.new_rule, name="new"),
    path("preview/", views.preview_rule, name="preview"),
    path("<uuid:rule_id>/", views.rule, name="rule"),
    path("<uuid:rule_id>/preview/", views.preview_change, name="preview-change"),
    path("<uuid:rule_id>/why/", views.why_rule, name="why"),
    path("<uuid:rule_id>/history/", views.history, name="history"),
    path("<uuid:rule_id>/delete/", views.delete_rule, name="delete"),
]
