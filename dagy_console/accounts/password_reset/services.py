"""A new password by a mailed link.

A request does the same for every address, known or not: what it does about a known one, a worker does later. So neither
the answer nor its time tells who has an account.
"""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import User
from dagy_console.accounts.notices import account_changed
from dagy_console.accounts.services import people
from dagy_console.accounts.sessions import services as sessions
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import mail
from dagy_console.core.actors import Actor, ActorKind, Origin
from dagy_console.core.errors import Conflict


@transaction.atomic
def ask_for_link(*, origin: Origin, email: str) -> None:
    """Put on record that somebody asked, and leave the rest to a worker. Where the broker is down no link is sent."""
    record(
        Action.PASSWORD_RESET_REQUESTED,
        # Whoever it was, it need not be who the address belongs to.
        actor=Actor(kind=ActorKind.ANONYMOUS, origin=origin),
        resource_type="user",
        resource_id=email.strip().lower(),
        resource_name=email,
    )
    transaction.on_commit(lambda: _hand_over(email), robust=True)


def _hand_over(email: str) -> None:
    current_app.send_task("accounts.mail_reset_link", [email], retry=False)


@transaction.atomic
def mail_link(email: str) -> None:
    """Mail the link to the person with this address; to nobody else, nor to who could not come in with it."""
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None or not may_come_in(user):
        return
    names = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    url = settings.BASE_URL + reverse("account_reset_password_from_key", kwargs=names)
    context = {"url": url, "minutes": settings.PASSWORD_RESET_TIMEOUT // 60}
    mail.send(to=[user.email], subject="A new password for Dagy", template="password_reset", context=context)


def may_come_in(user: User) -> bool:
    """Whether a new password is of use: not to the deactivated, nor to who belongs to what is suspended alone."""
    return user.is_active and not actor_for(user, Origin()).is_locked_out


@transaction.atomic
def set_new_password(*, user: User, key: str, origin: Origin, password: str) -> None:
    """What was opened with the old password ends: sessions, access tokens, impersonations, and the link itself.

    Raises Conflict: the link with this key was used meanwhile.
    """
    # Of those who bring one link at the same moment, the first has used it.
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not default_token_generator.check_token(user, key):
        raise Conflict("This link was used a moment ago, and opens nothing any more. Sign in, or ask for a new link.")
    actor = actor_for(user, origin, credential="password_reset")
    people.set_password(actor=actor, user=user, password=password)
    sessions.end_all_own(actor=actor)
    what = "The password was set anew, by a link that was mailed to you. All sessions and access tokens have ended."
    account_changed(email=user.email, origin=origin, what=what)
