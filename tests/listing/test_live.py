"""A list tells the truth about now: its chart ends there, what is new announces itself, red is for what stands out."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.urls import reverse
from django.utils import timezone

from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.presenting import _hot
from dagy_console.listing.summary import summarize


def test_the_chart_ends_at_now_however_long_ago_the_last_trace_was(bucket, indexed):
    bucket.put(at=timezone.now() - timedelta(hours=3))
    bucket.put(at=timezone.now() - timedelta(hours=2))
    indexed()
    for text in ("", "after:-4h", "type:ValueError"):
        last = summarize(Trace.objects.all(), TRACES.parse(text)).buckets[-1]
        assert last.start <= timezone.now() < last.end and last.count == 0
    asked = TRACES.parse(f"before:{timezone.now() - timedelta(hours=2, minutes=30):%Y-%m-%dT%H:%MZ}")
    assert summarize(Trace.objects.all(), asked).buckets[-1].end < timezone.now() - timedelta(hours=2)


@pytest.mark.parametrize(
    ("counts", "hot"),
    [
        ([0] * 29 + [1], []),  # one trace in half an hour is no burst
        ([0] * 29 + [595], [29]),
        ([40, 42, 41, 39, 44, 40], []),
        ([4, 5, 4, 6, 30, 5], [4]),
        ([4, 5, 4, 6, 9, 5], []),
        ([500, 2, 3], []),  # nothing before it says what is usual
    ],
)
def test_a_bar_is_red_above_a_floor_and_three_times_what_was_usual_before_it(counts, hot):
    assert [at for at, is_hot in enumerate(_hot(counts)) if is_hot] == hot


def poll_url(page: Any) -> str:
    addresses = (part.split('"')[0].replace("&amp;", "&") for part in page.content.decode().split('hx-get="')[1:])
    return next(address for address in addresses if "poll=" in address)


def test_a_list_that_is_open_is_told_how_much_is_new_and_counts_what_it_shows(bucket, indexed, browse, alice):
    now = timezone.now()
    bucket.put("org_blue", at=now - timedelta(minutes=9))
    indexed()
    client = browse(alice)
    url = poll_url(client.get(reverse("exceptions:list"), {"q": "org:org_blue"}))
    told = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "new: show" not in told and "last look" in told and "<html" not in told
    bucket.put("org_red", at=now - timedelta(minutes=8))
    for minute in (7, 6):
        bucket.put("org_blue", at=now - timedelta(minutes=minute))
    indexed()
    told = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "2 new: show" in told
    assert poll_url(client.get(url)) == url
    shown = client.get(reverse("exceptions:list"), {"q": "org:org_blue"})
    assert "new: show" not in client.get(poll_url(shown)).content.decode()


def test_an_empty_list_is_told_of_its_first_row_and_other_pages_do_not_ask(bucket, indexed, browse, alice):
    client = browse(alice)
    url = poll_url(client.get(reverse("exceptions:list"), {"q": "org:org_blue"}))
    bucket.put("org_blue")
    indexed()
    assert "1 new: show" in client.get(url).content.decode()
    assert "poll=" not in client.get(reverse("exceptions:groups"), {"q": "sort:count"}).content.decode()
    assert client.get(f"{reverse('exceptions:list')}?poll=nonsense").status_code == 422


def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(browse, alice):
    client = browse(alice)
    client.get(reverse("home"))
    long_ago = timezone.now() - timedelta(minutes=20)
    UserSession.objects.update(last_seen_at=long_ago)
    client.get(f"{reverse('home')}?poll=1")
    client.get(f"{reverse('audit:list')}?poll=")
    assert UserSession.objects.get().last_seen_at == long_ago
    client.get(reverse("home"))
    assert UserSession.objects.get().last_seen_at > long_ago


def test_home_shows_the_worst_and_the_new_and_each_number_is_a_door(bucket, indexed, browse, api, alice):
    from tests.exceptions.test_groups import traceback

    now = timezone.now()
    for minute in range(3):
        bucket.put("org_blue", at=now - timedelta(minutes=minute), traceback=traceback("refund"))
    for minute in range(9):
        bucket.put("org_blue", at=now - timedelta(days=2, minutes=minute), traceback=traceback("charge"))
    bucket.put("org_red", at=now - timedelta(minutes=5), traceback=traceback("charge"))
    indexed()
    page = browse(alice).get(reverse("home")).content.decode()
    worst, new = page.split('id="worst"')[1].split('id="fresh"')
    assert worst.index("refund") < worst.index("charge") and "after%3A-1h" in worst
    assert "refund" in new and "charge" not in new.split("Latest changes")[0]
    assert "2 the day before" not in page and "first%3A-24h" in new
    part = browse(alice).get(f"{reverse('home')}?poll=1", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and 'id="worst"' in part
    found = api(alice).get("/admin/exceptions/groups", {"first": "-24h"}).json()["items"]
    assert [item["title"] for item in found] == ["ValueError · refund"]
