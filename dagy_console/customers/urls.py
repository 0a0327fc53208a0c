from django.urls import path

from dagy_console.customers import views

app_name = "customers"
urlpatterns = [
    path("", views.customers, name="list"),
    path("<str:org_id>/", views.customer, name="customer"),
    path("<str:org_id>/suspend/", views.suspend, name="suspend"),
    path("<str:org_id>/unsuspend/", views.unsuspend, name="unsuspend"),
]
