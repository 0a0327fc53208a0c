"""Ways in, and the person's own pages. The names are allauth's: it looks its pages up by them."""

from allauth.account.views import login, logout
from django.db import transaction
from django.urls import path

from dagy_console.accounts import account_pages as own
from dagy_console.accounts import entrance_pages as entrance
from dagy_console.accounts.guard import changes_credentials as guarded
from dagy_console.accounts.guard import proves_anew
from dagy_console.accounts.password_reset import views as reset

urlpatterns = [
    # The session and its audit entry come into being together.
    path("accounts/login/", transaction.atomic(login), name="account_login"),
    path("accounts/logout/", transaction.atomic(logout), name="account_logout"),
    path("accounts/2fa/", transaction.atomic(entrance.SecondFactor.as_view()), name="mfa_authenticate"),
    path("accounts/2fa/passkey/", transaction.atomic(entrance.SignInByPasskey.as_view()), name="mfa_login_webauthn"),
    # What was asked for before goes on from here.
    path(
        "accounts/reauthenticate/",
        proves_anew(entrance.ReauthenticateByPassword.as_view()),
        name="account_reauthenticate",
    ),
    path(
        "accounts/reauthenticate/code/", proves_anew(entrance.ReauthenticateByCode.as_view()), name="mfa_reauthenticate"
    ),
    path(
        "accounts/reauthenticate/passkey/",
        proves_anew(entrance.ReauthenticateByPasskey.as_view()),
        name="mfa_reauthenticate_webauthn",
    ),
    path("accounts/password/reset/", reset.AskForLink.as_view(), name="account_reset_password"),
    path("accounts/password/reset/asked/", reset.asked, name="account_reset_password_done"),
    path(
        "accounts/password/reset/<str:uidb36>/<str:key>/",
        guarded(reset.SetNewPassword.as_view()),
        name="account_reset_password_from_key",
    ),
    path("accounts/password/reset/done/", reset.changed, name="account_reset_password_from_key_done"),
    path("console/account/", own.overview, name="account"),
    path("console/account/password/", guarded(own.ChangePassword.as_view()), name="account_change_password"),
    path("console/account/totp/", guarded(own.SetUpTotp.as_view()), name="mfa_activate_totp"),
    path("console/account/totp/off/", guarded(own.TurnOffTotp.as_view()), name="mfa_deactivate_totp"),
    path("console/account/recovery-codes/", guarded(own.RecoveryCodes.as_view()), name="mfa_view_recovery_codes"),
    path(
        "console/account/recovery-codes/make/",
        guarded(own.MakeRecoveryCodes.as_view()),
        name="mfa_generate_recovery_codes",
    ),
    path("console/account/passkeys/add/", guarded(own.AddPasskey.as_view()), name="mfa_add_webauthn"),
    path("console/account/passkeys/<int:pk>/rename/", guarded(own.RenamePasskey.as_view()), name="mfa_edit_webauthn"),
    path("console/account/passkeys/<int:pk>/remove/", guarded(own.RemovePasskey.as_view()), name="mfa_remove_webauthn"),
]
