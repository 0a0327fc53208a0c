"""The pages of channels: the list, a new one, one with its form, its test and what was sent by it lately."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.sudo import sudo_required
from dagy_console.alerts.channels import presenting, selectors, services
from dagy_console.alerts.channels.forms import ChannelForm
from dagy_console.alerts.deliveries import selectors as deliveries
from dagy_console.alerts.deliveries.presenting import delivery_row
from dagy_console.alerts.models import Channel, ChannelType
from dagy_console.alerts.search import CHANNELS
from dagy_console.core import destinations
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page

SHOWN = 10
_NEXT = (
    "The channel was made. Send a test message by it.",
    "The channel was made. Addresses that are new here get a mail that asks them first.",
)


@require_safe
def channels(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(request, CHANNELS, "alerts/channels.html", rows, row=presenting.channel_row, context=context)


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Make a channel for alerts")
def new_channel(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    form = ChannelForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if form.is_valid():
        told = form.cleaned_data
        try:
            made = services.create_channel(
                actor=request.actor,
                org_id=told["org_id"],
                name=told["name"],
                channel_type=told["channel_type"],
                config=form.config(told["channel_type"]),
                is_last_resort=told["is_last_resort"],
            )
        except Invalid as error:
            form.refuse(error)
        else:
            return _made(request, made)
    context = {"nav": "alerts", "form": form, "channel": None}
    return render_page(request, "alerts/channel.html", context, status=422 if form.errors else 200)


def _made(request: ConsoleRequest, channel: Channel) -> HttpResponse:
    """A webhook's secret is shown here and nowhere else; of the others there is none that was not given."""
    secret = channel.config.get("secret")
    if secret is None:
        messages.success(request, _NEXT[channel.channel_type == ChannelType.EMAIL])
        return redirect("channels:channel", channel.pk)
    return _secret(request, channel, secret)


def _secret(request: ConsoleRequest, channel: Channel, secret: str) -> HttpResponse:
    context = {"nav": "alerts", "channel": presenting.channel_row(channel), "secret": secret}
    answer = render_page(request, "alerts/secret.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Change a channel for alerts")
def channel(request: ConsoleRequest, channel_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_channel(request.actor, channel_id)
    form = ChannelForm(request.POST if request.method == "POST" else None, actor=request.actor, channel=found)
    if form.is_valid():
        changes = {"name": form.cleaned_data["name"], "is_last_resort": form.cleaned_data["is_last_resort"]}
        config = form.config(found.channel_type)
        try:
            services.change_channel(
                actor=request.actor, channel_id=found.pk, **changes, **({"config": config} if config else {})
            )
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, "The channel was changed.")
            return redirect("channels:channel", found.pk)
    return render_page(
        request, "alerts/channel.html", _context(request, found, form), status=422 if form.errors else 200
    )


def _context(request: ConsoleRequest, found: Channel, form: ChannelForm) -> dict[str, object]:
    rows = deliveries.with_attempts(deliveries.visible_to(request.actor).filter(channel=found))
    row, asked = presenting.channel_row(found), presenting.recipients_of(found)
    return {
        "nav": "alerts",
        "form": form,
        "channel": row,
        # Its addresses are shown with what each said.
        "facts": {name: value for name, value in row["config"].items() if name != "to"},
        "recipients": asked,
        "is_waiting": any(one["state"] == "asked" for one in asked),
        "rests_until": destinations.rests_until(found.destination),
        "problem": presenting.problem_for(found, request.actor),
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.org_id),
        "deliveries": [delivery_row(row, request.actor) for row in rows.order_by("-number")[:SHOWN]],
    }


@require_POST
def test_channel(request: ConsoleRequest, channel_id: uuid.UUID) -> HttpResponse:
    services.test_channel(actor=request.actor, channel_id=channel_id)
    messages.success(request, "A test message is on its way. What came of it stands below.")
    return redirect("channels:channel", channel_id)


@require_POST
def ask_recipients(request: ConsoleRequest, channel_id: uuid.UUID) -> HttpResponse:
    try:
        services.ask_recipients(actor=request.actor, channel_id=channel_id)
    except (Conflict, Invalid) as error:
        messages.info(request, error.detail)
    else:
        messages.success(request, "The link was sent again, to who has not answered.")
    return redirect("channels:channel", channel_id)


@require_POST
@sudo_required("Give a webhook another secret")
def rotate_secret(request: ConsoleRequest, channel_id: uuid.UUID) -> HttpResponse:
    secret = services.rotate_secret(actor=request.actor, channel_id=channel_id)
    return _secret(request, selectors.get_channel(request.actor, channel_id), secret)


@require_POST
@sudo_required("Delete a channel for alerts")
def delete_channel(request: ConsoleRequest, channel_id: uuid.UUID) -> HttpResponse:
    try:
        services.delete_channel(actor=request.actor, channel_id=channel_id)
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("channels:channel", channel_id)
    messages.success(request, "The channel was deleted, with what was sent by it.")
    return redirect("channels:list")
