from django.apps import AppConfig


class ListingConfig(AppConfig):
    name = "dagy_console.listing"
    label = "listing"
