"""The platform's API as a library: `DagyClient`. Standard library only."""

from dagy.client.api import DagyClient
from dagy.client.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Invalid,
    NotAuthenticated,
    NotFound,
    RateLimited,
    Unavailable,
)
from dagy.client.types import (
    Artifact,
    Deployment,
    Failure,
    FlowInfo,
    LogLine,
    Me,
    Membership,
    Run,
    RunTask,
    Schedule,
    Secret,
    Token,
)

__all__ = [
    "ApiError",
    "Artifact",
    "Conflict",
    "ConnectionFailed",
    "DagyClient",
    "Deployment",
    "Failure",
    "FlowInfo",
    "Forbidden",
    "Invalid",
    "LogLine",
    "Me",
    "Membership",
    "NotAuthenticated",
    "NotFound",
    "RateLimited",
    "Run",
    "RunTask",
    "Schedule",
    "Secret",
    "Token",
    "Unavailable",
]
