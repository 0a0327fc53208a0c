"""Rotations are made, changed and deleted on record, and nothing that is on call can vanish from under them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from dagy_console.alerts.channels import services as channels
from dagy_console.alerts.models import Channel, Override, Rotation
from dagy_console.alerts.on_call import WEEK, on_call
from dagy_console.alerts.rotations import services
from dagy_console.alerts.rotations.terms import Terms
from dagy_console.alerts.rules import services as rules
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Conflict, Invalid, NotFound, PermissionDenied
from tests.console import at_the_same_moment, create_person

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now_on_call(rotation: Rotation) -> str:
    rotation.refresh_from_db()
    shift = on_call(rotation, list(rotation.overrides.all()), timezone.now())
    return Channel.objects.get(pk=shift.channel_id).name


def test_it_is_made_and_changed_on_record(people: Any, as_actor: Any, alice: Any) -> None:
    ann, ben = people("ann", "ben")
    begins = timezone.now() - DAY
    made = services.create_rotation(
        actor=as_actor(alice), org_id="", terms=Terms("  Night  shift ", [ann.pk, ben.pk], "Europe/Berlin", begins)
    )
    assert (made.name, made.channel_ids) == ("Night shift", [str(ann.pk), str(ben.pk)])
    assert now_on_call(made) == "ann"
    services.change_rotation(actor=as_actor(alice), rotation_id=made.pk, time_zone="UTC", name="Night shift")
    services.change_rotation(actor=as_actor(alice), rotation_id=made.pk, time_zone="UTC")
    services.delete_rotation(actor=as_actor(alice), rotation_id=made.pk)
    entries = AuditEntry.objects.filter(resource_id=str(made.pk)).order_by("at").values_list("action", "changes")
    assert [action for action, _ in entries] == ["rotation.created", "rotation.changed", "rotation.deleted"]
    assert "time_zone" in str(entries[1][1]) and "channel_ids" not in str(entries[1][1])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "Night"}, "name"),
        ({"channel_ids": []}, "channel_ids"),
        ({"channel_ids": [uuid4()]}, "channel_ids"),
        ({"channel_ids": "51"}, "channel_ids"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"starts_at": datetime(9999, 12, 31, tzinfo=UTC)}, "starts_at"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "starts_at"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    rotation: Any, people: Any, as_actor: Any, alice: Any, wrong: dict[str, Any], field: str
) -> None:
    rotation()
    (cat,) = people("cat")
    if wrong.get("channel_ids") == "51":
        wrong = {"channel_ids": [cat.pk] * 51}
    given = {"name": "Day", "channel_ids": [cat.pk], "time_zone": "UTC", "starts_at": timezone.now()} | wrong
    with pytest.raises(Invalid) as refused:
        services.create_rotation(actor=as_actor(alice), org_id="", terms=Terms(**given))
    assert refused.value.errors[0].field == field
    assert Rotation.objects.count() == 1


def test_an_organizations_has_its_own_channels_alone(
    people: Any, channel: Any, as_actor: Any, alice: Any, bob: Any
) -> None:
    (ann,) = people("ann")
    (own,) = people("own", org_id="org_blue")

    def terms(*who: Channel) -> Terms:
        return Terms("Night", [one.pk for one in who], "UTC", timezone.now())

    for org_id, who in (("org_blue", ann), ("", own)):
        with pytest.raises(Invalid):
            services.create_rotation(actor=as_actor(alice), org_id=org_id, terms=terms(who))
    with pytest.raises(PermissionDenied):
        services.create_rotation(actor=as_actor(bob), org_id="", terms=terms(ann))
    made = services.create_rotation(actor=as_actor(bob), org_id="org_blue", terms=terms(own))
    with pytest.raises(Invalid):
        services.create_override(
            actor=as_actor(alice), rotation_id=made.pk, channel_id=ann.pk, until=timezone.now() + HOUR
        )
    platforms = services.create_rotation(actor=as_actor(alice), org_id="", terms=terms(ann))
    with pytest.raises(NotFound):
        services.change_rotation(actor=as_actor(bob), rotation_id=platforms.pk, name="Mine")


def test_whoever_has_the_turn_keeps_it_when_the_order_is_changed(
    rotation: Any, people: Any, as_actor: Any, alice: Any
) -> None:
    ann, ben, cat, dan = people("ann", "ben", "cat", "dan")
    made = rotation(ann, ben, cat, time_zone="UTC", starts_at=timezone.now() - 7 * WEEK - DAY)
    assert now_on_call(made) == "ben"

    def change(*turns: Channel) -> list[str]:
        """Who is on call from now on, week for week."""
        ids = [one.pk for one in turns]
        services.change_rotation(actor=as_actor(alice), rotation_id=made.pk, channel_ids=ids)
        made.refresh_from_db()
        names = {str(one.pk): one.name for one in (ann, ben, cat, dan)}
        return [names[on_call(made, [], timezone.now() + week * WEEK).channel_id] for week in range(3)]

    until = on_call(made, [], timezone.now()).until
    assert change(ann, ben, cat, dan) == ["ben", "cat", "dan"]
    assert change(dan, cat, ben, ann) == ["ben", "ann", "dan"]
    assert change(ann, cat, ann) == ["ann", "cat", "ann"]
    assert change(cat, dan, ann) == ["ann", "cat", "dan"]
    assert on_call(made, [], timezone.now()).until == until
    services.change_rotation(
        actor=as_actor(alice), rotation_id=made.pk, channel_ids=[dan.pk, ann.pk], starts_at=timezone.now() - 8 * WEEK
    )
    assert now_on_call(made) == "dan"


def test_an_override_puts_somebody_else_on_call_until_it_is_over_or_ended(
    rotation: Any, people: Any, as_actor: Any, alice: Any
) -> None:
    ann, ben = people("ann", "ben")
    made, actor, now = rotation(ann), as_actor(alice), timezone.now()
    given: dict[str, Any] = {"actor": actor, "rotation_id": made.pk, "channel_id": ben.pk, "reason": "holiday"}
    override = services.create_override(**given, until=now + DAY)
    assert now_on_call(made) == "ben"
    later = services.create_override(**given, starts_at=now + DAY, until=now + 2 * DAY)
    for wrong, field in (
        ({"starts_at": now - DAY, "until": now - HOUR}, "until"),
        ({"starts_at": now + 5 * DAY, "until": now + 4 * DAY}, "until"),
        ({"starts_at": now + 5 * DAY, "until": now + 200 * DAY}, "until"),
        ({"starts_at": now + 900 * DAY, "until": now + 901 * DAY}, "starts_at"),
        ({"starts_at": now + 1.5 * DAY, "until": now + 3 * DAY}, "starts_at"),
        ({"until": now + HOUR}, "starts_at"),
        ({"until": now + 3 * DAY, "starts_at": now + 2 * DAY, "channel_id": uuid4()}, "channel_id"),
        ({"until": now + 3 * DAY, "starts_at": now + 2 * DAY, "reason": "x" * 501}, "reason"),
    ):
        with pytest.raises(Invalid) as refused:
            services.create_override(**(given | wrong))
        assert refused.value.errors[0].field == field, wrong
    for one in (override, later):
        services.end_override(actor=actor, rotation_id=made.pk, override_id=one.pk)
    assert now_on_call(made) == "ann" and not Override.objects.filter(pk=later.pk).exists()
    with pytest.raises(Conflict):
        services.end_override(actor=actor, rotation_id=made.pk, override_id=override.pk)
    with pytest.raises(NotFound):
        services.end_override(actor=actor, rotation_id=made.pk, override_id=later.pk)
    told = AuditEntry.objects.filter(resource_id=str(made.pk)).order_by("at").values_list("action", "reason")[1:]
    assert list(told) == [(f"rotation.override_{what}", "holiday") for what in ("created", "created", "ended", "ended")]


def test_two_overrides_at_the_same_moment_never_overlap(committed: None, empty_index: None, as_actor: Any) -> None:
    actor = as_actor(create_person("alice@dagy.example", super_admin=True))
    who = channels.create_channel(
        actor=actor, org_id="", name="ann", channel_type="email", config={"to": ["ann@blue.example"]}
    )
    made = services.create_rotation(actor=actor, org_id="", terms=Terms("Night", [who.pk], "UTC", timezone.now()))

    def override() -> bool:
        try:
            services.create_override(actor=actor, rotation_id=made.pk, channel_id=who.pk, until=timezone.now() + HOUR)
        except Invalid:
            return False
        return True

    assert sorted(at_the_same_moment(override, override)) == [False, True]
    Rotation.objects.all().delete()
    Channel.objects.all().delete()


def test_a_channel_that_is_on_call_or_is_to_be_cannot_be_deleted(
    rotation: Any, people: Any, as_actor: Any, alice: Any, browse: Any, api: Any
) -> None:
    ann, ben = people("ann", "ben")
    made, actor = rotation(ann), as_actor(alice)
    override = services.create_override(
        actor=actor,
        rotation_id=made.pk,
        channel_id=ben.pk,
        starts_at=timezone.now() + DAY,
        until=timezone.now() + 2 * DAY,
    )
    for who in (ann, ben):
        with pytest.raises(Conflict, match="Night"):
            channels.delete_channel(actor=actor, channel_id=who.pk)
    answer = api(alice).delete(f"/notifications/channels/{ann.pk}")
    assert answer.status_code == 409 and "Night" in answer.json()["detail"]
    page = browse(alice).post(f"/console/alerts/channels/{ann.pk}/delete/", follow=True)
    assert "It is on call by Night" in page.content.decode() and Channel.objects.filter(pk=ann.pk).exists()
    Override.objects.filter(pk=override.pk).update(starts_at=timezone.now() - 2 * DAY, until=timezone.now() - DAY)
    channels.delete_channel(actor=actor, channel_id=ben.pk)
    services.delete_rotation(actor=actor, rotation_id=made.pk)
    channels.delete_channel(actor=actor, channel_id=ann.pk)


def test_one_that_rules_tell_cannot_be_deleted(
    rotation: Callable[..., Rotation], rule: Any, as_actor: Any, alice: Any
) -> None:
    made, actor = rotation(), as_actor(alice)
    at_once = rule(name="At once", rotation_ids=[made.pk], channel_ids=[])
    step = {"after_seconds": 60, "channel_ids": [], "rotation_ids": [made.pk]}
    by_step = rule(name="By step", channel_ids=[], escalation=[step])
    with pytest.raises(Conflict, match="At once, By step"):
        services.delete_rotation(actor=actor, rotation_id=made.pk)
    rules.delete_rule(actor=actor, rule_id=at_once.pk)
    with pytest.raises(Conflict, match="By step"):
        services.delete_rotation(actor=actor, rotation_id=made.pk)
    rules.change_rule(actor=actor, rule_id=by_step.pk, escalation=[])
    services.delete_rotation(actor=actor, rotation_id=made.pk)
    assert not Rotation.objects.exists()
