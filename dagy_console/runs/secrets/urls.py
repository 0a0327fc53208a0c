from django.urls import path

from dagy_console.runs.secrets import views

app_name = "secrets"
urlpatterns = [
    path("", views.secrets, name="list"),
    path("new/", views.keep_secret, name="new"),
    path("delete/", views.delete_secret, name="delete"),
]
