"""Reading impersonations: for the platform's staff alone."""

from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.functions import Now

from dagy_console.accounts.models import Impersonation
from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor) -> QuerySet[Impersonation]:
    """Each impersonation with `by`, `whom` and `state` ("active" or "ended"). Raises PermissionDenied."""
    actor.require(Permission.USERS_IMPERSONATE)
    going_on = When(ended_at=None, expires_at__gt=Now(), then=Value("active"))
    return Impersonation.objects.annotate(
        by=F("impersonator__email"),
        whom=F("user__email"),
        state=Case(going_on, default=Value("ended"), output_field=TextField()),
    )
