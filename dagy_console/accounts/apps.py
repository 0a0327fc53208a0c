from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "dagy_console.accounts"
    label = "accounts"

    def ready(self) -> None:
        from dagy_console.accounts import denials, sign_in_audit  # noqa: F401 - listens to allauth's sign-in signals
        from dagy_console.core import problems

        problems.denial_watchers.append(denials.record_denial)
