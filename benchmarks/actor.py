"""What finding out who acts, and asking for a permission, adds to a request: milliseconds and database queries.

    .local/venv/bin/python -m embedded shell -- .local/venv/bin/python benchmarks/actor.py [--calls 2000]

In process, on real PostgreSQL: `actor_of` and `can`, as the middleware and a service call them, for each kind of
credential. The person belongs to five organizations, of which one is suspended. A session's own row is read before, by
Django, and counts as a query here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from console import machine, open_console, percentile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    calls = parser.parse_args().calls
    with open_console():
        requests = _requests()
        figures = {name: _measure(partial(_find, make), calls) for name, make in requests.items()}
        # What Django does for every page of who is signed in, whoever asks for an actor.
        figures["of these, Django's reading of a session"] = _measure(partial(_read, requests["session"]), calls)
        print(json.dumps({"machine": machine(), "calls": calls, "figures": figures}, indent=1))


def _requests() -> dict[str, Callable[[], Any]]:
    """Credential -> what makes a request that carries it."""
    from django.test import Client, RequestFactory

    from dagy_console.accounts.api_keys.services import create_api_key
    from dagy_console.accounts.credentials import IMPERSONATING, actor_for
    from dagy_console.accounts.impersonation.services import start
    from dagy_console.accounts.models import Membership, Organization, Suspension, User
    from dagy_console.accounts.services.tokens import create_access_token
    from dagy_console.core.actors import Origin
    from dagy_console.core.permissions import Role

    bob = User.objects.create(email="bob@blue.example", name="Bob")
    alice = User.objects.create(email="alice@dagy.example", super_admin=True)
    for number in range(5):
        organization = Organization.objects.create(id=f"org_{number}", name=f"Organization {number}")
        Membership.objects.create(user=bob, organization=organization, role=Role.OWNER)
    Suspension.objects.create(organization_id="org_4", reason="unpaid", suspended_by="alice")
    actor, staff = actor_for(bob, Origin()), actor_for(alice, Origin())
    token, _ = create_access_token(actor=actor, user=bob)
    _, key = create_api_key(actor=actor, name="benchmark", org_id="org_0")
    _, acting = start(actor=staff, email=bob.email, reason="benchmark", minutes=60)
    own, others = _signed_in(Client(), bob), _signed_in(Client(), alice)
    looks, _ = start(actor=staff, email=bob.email, reason="benchmark", minutes=60, session="session:benchmark")
    others[IMPERSONATING] = str(looks.pk)
    others.save()
    factory = RequestFactory()

    def bearer(text: str) -> Callable[[], Any]:
        return lambda: factory.get("/me", headers={"Authorization": f"Bearer {text}"})

    def browser(session: Any) -> Callable[[], Any]:
        def make() -> Any:
            request = factory.get("/console/")
            request.session = type(session)(session.session_key)
            return request

        return make

    return {
        "session": browser(own),
        "session that impersonates": browser(others),
        "access token": bearer(token),
        "API key": bearer(key),
        "impersonation token": bearer(acting),
    }


def _signed_in(client: Any, user: Any) -> Any:
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client.session


def _find(make: Callable[[], Any]) -> None:
    from dagy_console.accounts.middleware import actor_of
    from dagy_console.core.permissions import Permission

    actor = actor_of(make())
    assert actor is not None and actor.can(Permission.RUNS_READ, org_id="org_0")


def _read(make: Callable[[], Any]) -> None:
    assert make().session.get("_auth_user_id")


def _measure(call: Callable[[], None], calls: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(50):
        call()
    with CaptureQueriesContext(connection) as queries:
        call()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1_000)
    figures = {f"p{share}_ms": round(percentile(times, share), 3) for share in (50, 95)}
    return {"queries": len(queries), **figures}


if __name__ == "__main__":
    main()
