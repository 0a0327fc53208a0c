from django.urls import path

from dagy_console.alerts.rules import views

app_name = "rules"
urlpatterns = [
    path("", views.rules, name="list"),
    path("new/", views.new_rule, name="new"),
    path("<uuid:rule_id>/", views.rule, name="rule"),
    path("<uuid:rule_id>/delete/", views.delete_rule, name="delete"),
]
