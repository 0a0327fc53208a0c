"""Everything that the audit log can say, each with its description. A closed list: `record()` takes nothing else."""

from enum import StrEnum


class Action(StrEnum):
    """`resource.verb`, and what it tells the reader."""

    description: str

    def __new__(cls, value: str, description: str) -> "Action":
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    SIGNED_IN = "session.created", "Signed in"
    SIGN_IN_FAILED = "session.denied", "Failed to sign in"
    SIGNED_OUT = "session.ended", "Signed out"
    TOKEN_CREATED = "access_token.created", "Created an access token"
    TOKEN_REVOKED = "access_token.revoked", "Revoked an access token"
    PERMISSION_DENIED = "permission.denied", "Was refused for lack of a permission"
    USER_CREATED = "user.created", "Created a user"
    PASSWORD_SET = "user.password_set", "Set a user's password"
    MEMBER_ADDED = "membership.created", "Added a member"
    ORGANIZATION_CREATED = "organization.created", "Created an organization"
    TRACE_READ = "trace.read", "Read a trace"
    TRACE_DOWNLOADED = "trace.downloaded", "Downloaded a trace"
    DELETION_STARTED = "deletion.started", "Started to delete traces"
    DELETION_CANCELLED = "deletion.cancelled", "Asked a deletion to stop"
    DELETION_FINISHED = "deletion.finished", "Finished deleting traces"
    REINDEX_STARTED = "trace_index.rebuild_started", "Started to rebuild the trace index"
    REINDEX_FINISHED = "trace_index.rebuild_finished", "Rebuilt the trace index"


class Outcome(StrEnum):
    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"
