"""What has ended is taken away after a while."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from dagy_console.accounts.models import AccessToken
from dagy_console.accounts.tasks import remove_expired_sign_ins


def test_ended_sessions_and_long_expired_tokens_go_and_the_others_stay(browse, api, alice):
    browse(alice), browse(alice), api(alice), api(alice)
    Session.objects.filter(pk=Session.objects.first().pk).update(expire_date=timezone.now() - timedelta(minutes=1))
    oldest = AccessToken.objects.order_by("id").first()
    AccessToken.objects.filter(pk=oldest.pk).update(expires_at=timezone.now() - timedelta(days=31))
    remove_expired_sign_ins()
    assert (Session.objects.count(), AccessToken.objects.count()) == (1, 1)


def test_a_new_password_ends_the_tokens_of_the_old_one(api, as_actor, alice):
    from dagy_console.accounts.services.people import set_password

    client = api(alice)
    set_password(actor=as_actor(alice), user=alice, password="a new one that is long")
    assert client.get("/me").status_code == 401
