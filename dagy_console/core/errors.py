"""The errors that services raise. Each knows its HTTP status and says what is wrong and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from dagy_console.core.permissions import Permission


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    message: str


class ConsoleError(Exception):
    """Shown to the caller as an RFC 9457 problem (API) or an error page (console)."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after


class NotAuthenticated(ConsoleError):
    status = 401
    title = "Not signed in"


class PermissionDenied(ConsoleError):
    status = 403
    title = "Not allowed"

    def __init__(self, permission: Permission, *, org_id: str | None = None) -> None:
        where = f" in {org_id}" if org_id else ""
        super().__init__(f"This needs the permission {permission}{where}, which you do not have.")
        self.permission = permission
        self.org_id = org_id


class NotFound(ConsoleError):
    status = 404
    title = "Not found"


class Conflict(ConsoleError):
    status = 409
    title = "Conflict"


class TooLarge(ConsoleError):
    status = 413
    title = "Too large"


class Invalid(ConsoleError):
    """One or more fields are wrong; nothing was changed."""

    status = 422
    title = "Invalid input"

    @classmethod
    def field(cls, name: str, message: str) -> "Invalid":
        return cls(f"{name}: {message}", errors=[FieldError(name, message)])


class TooManyRequests(ConsoleError):
    """One person or organization asks for more than is done for it at once; nothing was changed."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int = 60) -> None:
        super().__init__(detail, retry_after=retry_after)


class Unavailable(ConsoleError):
    """A dependency (S3, PostgreSQL, Redis) does not answer or refuses."""

    status = 503
    title = "A dependency is not available"

    def __init__(self, detail: str, *, retry_after: int = 5) -> None:
        super().__init__(detail, retry_after=retry_after)
