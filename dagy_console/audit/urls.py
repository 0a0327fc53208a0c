from django.urls import path

from dagy_console.audit import views

app_name = "audit"
urlpatterns = [path("", views.entries, name="list")]
