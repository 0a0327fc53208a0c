"""Everything that the audit log can say, each with its description. A closed list: `record()` takes nothing else."""

from enum import StrEnum


class Nature(StrEnum):
    """What kind of deed an action is: who only looks on may read; who acts as somebody else may not have their keys."""

    READS = "reads"
    CHANGES = "changes"
    CREDENTIALS = "credentials"


class Action(StrEnum):
    """`resource.verb`, what it tells the reader, and its nature."""

    description: str
    nature: Nature

    def __new__(cls, value: str, description: str, nature: Nature = Nature.CHANGES) -> "Action":
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        member.nature = nature
        return member

    SIGNED_IN = "session.created", "Signed in", Nature.READS
    SIGN_IN_FAILED = "session.denied", "Failed to sign in", Nature.READS
    SIGNED_OUT = "session.ended", "Signed out", Nature.READS
    TOKEN_CREATED = "access_token.created", "Created an access token", Nature.CREDENTIALS
    TOKEN_REVOKED = "access_token.revoked", "Revoked an access token", Nature.CREDENTIALS
    API_KEY_CREATED = "api_key.created", "Created an API key", Nature.CREDENTIALS
    API_KEY_REVOKED = "api_key.revoked", "Revoked an API key", Nature.CREDENTIALS
    PERMISSION_DENIED = "permission.denied", "Was refused for lack of a permission", Nature.READS
    SUDO_GRANTED = "sudo.granted", "Proved again who they are", Nature.CREDENTIALS
    SUDO_DENIED = "sudo.denied", "Failed to prove again who they are", Nature.CREDENTIALS
    USER_CREATED = "user.created", "Created a user"
    PASSWORD_SET = "user.password_set", "Set a user's password", Nature.CREDENTIALS
    MFA_ENABLED = "user.mfa_enabled", "Set up an authenticator app", Nature.CREDENTIALS
    MFA_DISABLED = "user.mfa_disabled", "Turned an authenticator app off", Nature.CREDENTIALS
    RECOVERY_CODES_MADE = "user.recovery_codes_made", "Made recovery codes", Nature.CREDENTIALS
    PASSKEY_ADDED = "user.passkey_added", "Added a passkey", Nature.CREDENTIALS
    PASSKEY_RENAMED = "user.passkey_renamed", "Renamed a passkey", Nature.CREDENTIALS
    PASSKEY_REMOVED = "user.passkey_removed", "Removed a passkey", Nature.CREDENTIALS
    PASSWORD_RESET_REQUESTED = "user.password_reset_requested", "Asked for a link to a new password", Nature.READS
    MEMBER_ADDED = "membership.created", "Added a member"
    MEMBER_CHANGED = "membership.changed", "Changed a member's role"
    MEMBER_REMOVED = "membership.removed", "Removed a member"
    INVITATION_SENT = "invitation.created", "Invited somebody"
    INVITATION_WITHDRAWN = "invitation.withdrawn", "Withdrew an invitation"
    INVITATION_ACCEPTED = "invitation.accepted", "Accepted an invitation"
    ORGANIZATION_CREATED = "organization.created", "Created an organization"
    ORGANIZATION_SUSPENDED = "organization.suspended", "Suspended an organization"
    ORGANIZATION_UNSUSPENDED = "organization.unsuspended", "Lifted a suspension"
    IMPERSONATION_STARTED = "impersonation.started", "Began to act as somebody else"
    IMPERSONATION_ENDED = "impersonation.ended", "Ceased to act as somebody else", Nature.READS
    SESSIONS_REVOKED = "session.revoked", "Ended sessions and access tokens", Nature.CREDENTIALS
    TRACE_READ = "trace.read", "Read a trace", Nature.READS
    TRACE_DOWNLOADED = "trace.downloaded", "Downloaded a trace", Nature.READS
    CHANNEL_CREATED = "channel.created", "Made a channel for alerts"
    CHANNEL_CHANGED = "channel.changed", "Changed a channel for alerts"
    CHANNEL_DELETED = "channel.deleted", "Deleted a channel for alerts"
    CHANNEL_TESTED = "channel.tested", "Sent a test message by a channel"
    CHANNEL_SWITCHED_OFF = "channel.switched_off", "Sends nothing by a channel whose receiver is gone"
    CHANNEL_SWITCHED_ON = "channel.switched_on", "Sends again by a channel whose receiver is back"
    CHANNEL_RECIPIENT_ASKED = "channel.recipient_asked", "Asked an address again whether it takes a channel's mails"
    CHANNEL_RECIPIENT_CONFIRMED = "channel.recipient_confirmed", "Confirmed an address of a channel"
    CHANNEL_RECIPIENT_STOPPED = "channel.recipient_stopped", "Takes a channel's mails no more"
    CHANNEL_SECRET_ROTATED = "channel.secret_rotated", "Gave a webhook another secret"
    RULE_CREATED = "rule.created", "Made a rule for alerts"
    RULE_CHANGED = "rule.changed", "Changed a rule for alerts"
    RULE_DELETED = "rule.deleted", "Deleted a rule for alerts"
    ALERT_ACKNOWLEDGED = "alert.acknowledged", "Acknowledged an alert"
    ALERT_UNACKNOWLEDGED = "alert.unacknowledged", "Gave an alert back"
    ALERT_RESOLVED = "alert.resolved", "Resolved an alert by hand"
    SILENCE_CREATED = "silence.created", "Silenced alerts"
    SILENCE_ENDED = "silence.ended", "Ended a silence"
    ROTATION_CREATED = "rotation.created", "Made a rotation of who is on call"
    ROTATION_CHANGED = "rotation.changed", "Changed a rotation of who is on call"
    ROTATION_DELETED = "rotation.deleted", "Deleted a rotation of who is on call"
    ROTATION_OVERRIDE_CREATED = "rotation.override_created", "Put somebody on call for a while"
    ROTATION_OVERRIDE_ENDED = "rotation.override_ended", "Ended that somebody is on call for a while"
    DELIVERY_RESENT = "delivery.resent", "Had a message sent again"
    GROUP_CHANGED = "group.changed", "Set the status of a group of traces"
    GROUP_REOPENED = "group.reopened", "Reopened a group that came back"
    DELETION_STARTED = "deletion.started", "Started to delete traces"
    DELETION_CANCELLED = "deletion.cancelled", "Asked a deletion to stop"
    DELETION_FINISHED = "deletion.finished", "Finished deleting traces"
    FLOW_DEPLOYED = "flow.deployed", "Deployed a version of a flow"
    SECRET_KEPT = "secret.kept", "Kept a secret", Nature.CREDENTIALS
    SECRET_DELETED = "secret.deleted", "Deleted a secret", Nature.CREDENTIALS
    SCHEDULE_CREATED = "schedule.created", "Made a schedule"
    SCHEDULE_CHANGED = "schedule.changed", "Changed a schedule"
    SCHEDULE_DELETED = "schedule.deleted", "Deleted a schedule"
    RUN_TRIGGERED = "run.triggered", "Started a run"
    ARTIFACT_DOWNLOADED = "artifact.downloaded", "Downloaded an artifact of a run", Nature.READS
    RUN_RETRIED = "run.retried", "Started a run again"
    RUN_PUSHED = "run.pushed", "Pushed a run of their own machine"
    RUN_CANCELLED = "run.cancelled", "Asked a run to stop"
    REINDEX_STARTED = "trace_index.rebuild_started", "Started to rebuild the trace index"
    REINDEX_FINISHED = "trace_index.rebuild_finished", "Rebuilt the trace index"


class Outcome(StrEnum):
    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"
