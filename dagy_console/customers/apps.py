from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "dagy_console.customers"
    label = "customers"

    def ready(self) -> None:
        from dagy_console.core import navigation
        from dagy_console.core.permissions import Permission

        navigation.register(
            "customers",
            "Customers",
            url_name="customers:list",
            key="c",
            order=80,
            permission=Permission.CUSTOMERS_READ,
        )
