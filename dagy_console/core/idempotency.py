"""`Idempotency-Key`: a POST that is sent again gets the first answer, and has no second effect.

The effect and its answer are one transaction, under a lock of PostgreSQL on the key. A process that is killed takes its
lock and all it did with it; one whose machine is gone loses both after STALE_SECONDS. So there is never an effect
without its answer, and no claim that somebody would have to clean up.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpResponse

from dagy_console.core.actors import Actor, ActorKind
from dagy_console.core.encryption import NotDecryptable, decrypt, encrypt
from dagy_console.core.errors import Conflict, ConsoleError, Invalid
from dagy_console.core.http import ConsoleRequest
from dagy_console.core.models import IdempotentAnswer
from dagy_console.core.problems import error_response

HEADER = "Idempotency-Key"
KEPT_HOURS = 24
STALE_SECONDS = 60
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
# Refusals that the handler decided on, and that say how things are. All others a repetition may mend.
_KEPT_REFUSALS = frozenset({404, 409})


class KeyInUse(Conflict):
    title = "The idempotency key is in use"


@dataclass(frozen=True, slots=True)
class _Asked:
    owner: str
    key: str
    operation: str
    body_digest: str

    @classmethod
    def of(cls, request: ConsoleRequest, key: str) -> "_Asked":
        digest = hashlib.sha256(_canonical(request.body)).hexdigest()
        return cls(_owner(request.actor), key, f"{request.method} {request.get_full_path()}", digest)


def once(request: ConsoleRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """What `answer()` gives, or gave when the request came with the same Idempotency-Key before.

    `answer()` runs in one transaction, and what it did is undone where it raises: an effect outside of PostgreSQL
    belongs after the commit. Kept are its answers below 300, and refusals with 404 and 409; not what a repetition may
    mend: other refusals (401, 403, 422, 429) and failures (5xx).
    Raises Invalid (the key is malformed), KeyInUse.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return answer()
    if not _KEY.fullmatch(key):
        raise Invalid.field(HEADER, "send 1 to 255 printable ASCII characters")
    asked = _Asked.of(request, key)
    with transaction.atomic(durable=True):
        _lock(asked)
        fresh = IdempotentAnswer.objects.filter(created_at__gt=Now() - timedelta(hours=KEPT_HOURS))
        kept = fresh.filter(owner=asked.owner, key=key).first()
        if kept:
            return _replay(kept, asked)
        try:
            with transaction.atomic():
                response = answer()
        except ConsoleError as error:
            if error.status not in _KEPT_REFUSALS:
                raise
            response = error_response(request, error)
        if response.status_code < 300 or response.status_code in _KEPT_REFUSALS:
            _keep(asked, response)
        return response


def remove_old() -> None:
    """Forget the answers that are no longer given. Housekeeping: the keys can be used anew already."""
    IdempotentAnswer.objects.filter(created_at__lte=Now() - timedelta(hours=KEPT_HOURS)).delete()


def _lock(asked: _Asked) -> None:
    """Hold the key until the transaction ends. Raises KeyInUse where somebody else does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true), "
            "pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"{STALE_SECONDS}s", f"idempotency\n{asked.owner}\n{asked.key}"],
        )
        if not cursor.fetchone()[1]:
            detail = "The first request with this Idempotency-Key is still being worked on: ask again for its answer."
            raise KeyInUse(detail, retry_after=1)


def _replay(kept: IdempotentAnswer, asked: _Asked) -> HttpResponse:
    if kept.operation != asked.operation:
        raise KeyInUse(f"This Idempotency-Key was used for {kept.operation}: take a new one. Nothing was changed.")
    if kept.body_digest != asked.body_digest:
        raise KeyInUse("This Idempotency-Key was used with another body: take a new one. Nothing was changed.")
    try:
        body = decrypt(kept.body)
    except NotDecryptable:
        detail = "This was done before, and its answer can't be read any more: it was kept under another key."
        raise KeyInUse(detail) from None
    response = HttpResponse(body, status=kept.status, content_type=kept.content_type)
    response["Idempotent-Replayed"] = "true"
    return response


def _keep(asked: _Asked, response: HttpResponse) -> None:
    IdempotentAnswer.objects.update_or_create(
        owner=asked.owner,
        key=asked.key,
        defaults={
            "operation": asked.operation,
            "body_digest": asked.body_digest,
            "status": response.status_code,
            "content_type": response.get("Content-Type", ""),
            "body": encrypt(response.content.decode()),
            "created_at": Now(),
        },
    )


def _owner(actor: Actor) -> str:
    """Who may have the answer: the person as they act now. A new token is no other person; an API key is itself."""
    impersonator = actor.impersonator.id if actor.impersonator else ""
    by = "" if actor.kind in {ActorKind.USER, ActorKind.TOKEN} else actor.credential
    return json.dumps([actor.kind, actor.id, impersonator, actor.org_id, by])


def _canonical(body: bytes) -> bytes:
    """JSON whose members come in another order, or with other spaces, is the same."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body
