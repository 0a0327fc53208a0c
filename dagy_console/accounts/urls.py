from django.urls import path

from dagy_console.accounts.impersonation import views as impersonation
from dagy_console.accounts.sessions import views as sessions
from dagy_console.accounts.team import views as team

app_name = "accounts"
urlpatterns = [
    path("account/sessions/", sessions.own_sessions, name="own-sessions"),
    path("account/sessions/end-others/", sessions.end_others, name="sessions-end-others"),
    path("team/", team.team, name="team"),
    path("team/<str:org_id>/invite/", team.invite, name="invite"),
    path("team/<str:org_id>/<int:user_id>/", team.member, name="member"),
    path("team/<str:org_id>/<int:user_id>/remove/", team.remove, name="member-remove"),
    path("team/invitations/<uuid:invitation_id>/withdraw/", team.withdraw, name="invitation-withdraw"),
    path("sessions/", sessions.sessions, name="sessions"),
    path("sessions/revoke/", sessions.revoke, name="sessions-revoke"),
    path("sessions/<int:session_id>/end/", sessions.end_session, name="session-end"),
    path("impersonations/", impersonation.impersonations, name="impersonations"),
    path("impersonations/new/", impersonation.start, name="impersonation-start"),
    path("impersonations/end/", impersonation.end_own, name="impersonation-end"),
    path("impersonations/<uuid:impersonation_id>/end/", impersonation.end_other, name="impersonation-end-other"),
]
