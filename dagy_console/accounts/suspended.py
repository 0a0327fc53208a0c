"""What people are told who belong to suspended organizations alone: why, until when, whom to ask."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dagy_console.accounts.selectors import in_words, suspensions_of
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.http import is_api
from dagy_console.core.problems import error_response


class Suspended(ConsoleError):
    status = 403
    title = "Your organization is suspended"

    @classmethod
    def of(cls, actor: Actor) -> "Suspended":
        return cls(" ".join(in_words(row) for row in suspensions_of(actor.suspended)))


def suspended_response(request: HttpRequest, actor: Actor) -> HttpResponse:
    if is_api(request):
        return error_response(request, Suspended.of(actor))
    return render(request, "account/suspended.html", {"suspensions": suspensions_of(actor.suspended)}, status=403)
