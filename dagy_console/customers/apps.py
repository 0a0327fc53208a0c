from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "dagy_console.customers"
    label = "customers"
