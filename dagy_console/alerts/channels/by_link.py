"""What the links in mails open: an address takes a channel's mails, or takes them no more. Nobody signs in for it, and
nothing is done before a button is pressed; but a mail program that has a button of its own presses this one, too."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from dagy_console.accounts.context import origin_of
from dagy_console.alerts import links, recipients
from dagy_console.alerts.models import Recipient
from dagy_console.core.http import render_page
from dagy_console.core.visible import visible


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    recipient = links.whom_to_confirm(token)
    if request.method == "POST":
        recipients.confirm(recipient, actor=links.owner_of(recipient, origin_of(request)))
    return _page(request, recipient)


# Who has the link may do this and nothing else: there is no session that somebody could borrow.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    recipient = links.whom_to_stop(token)
    if request.method == "POST":
        deed = recipients.confirm if request.POST.get("again") else recipients.stop
        deed(recipient, actor=links.owner_of(recipient, origin_of(request)))
    return _page(request, recipient, may_stop=True)


def _page(request: HttpRequest, recipient: Recipient, *, may_stop: bool = False) -> HttpResponse:
    recipient.refresh_from_db()
    context = {
        "address": visible(recipient.address),
        "channel": visible(recipient.channel.name),
        "whose": recipient.channel.org_id or "the platform",
        "state": recipient.state,
        "is_listed": recipient.is_listed,
        "may_stop": may_stop,
        "is_done": request.method == "POST",
    }
    return render_page(request, "alerts/recipient.html", context)
