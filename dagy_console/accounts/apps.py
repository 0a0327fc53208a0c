from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "dagy_console.accounts"
    label = "accounts"

    def ready(self) -> None:
        from dagy_console.accounts import denials, sign_in_audit  # noqa: F401 - listens to allauth's sign-in signals
        from dagy_console.accounts.account_places import ACCOUNT_PLACES, AccountPlace
        from dagy_console.core import navigation, problems
        from dagy_console.core.permissions import Permission

        navigation.register(
            "team", "Team", url_name="accounts:team", key="t", order=70, permission=Permission.TEAM_READ
        )
        problems.denial_watchers.append(denials.record_denial)
        about_keys = "What your programs call the API with: make, watch and revoke them."
        ACCOUNT_PLACES.append(AccountPlace("API keys", "api-keys:list", about_keys, Permission.API_KEYS_READ))
