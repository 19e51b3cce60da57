"""The rules of streams as tables: types of events, states, members, limits."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
METHODS = (PUSH, POLL)


class Status(StrEnum):
    """SSF §8.1.2. Paused: events wait. Disabled: there are none, and those that waited are gone."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


# Types of events of our own: gateway/docs/signals.md says what they mean. No public vocabulary says "consent".
CONSENT_ENDED = "urn:aval:event:consent-ended"
CONSENT_CHANGED = "urn:aval:event:consent-changed"
CONSENT_PAUSED = "urn:aval:event:consent-paused"
CONSENT_RESUMED = "urn:aval:event:consent-resumed"
TOKENS_ENDED = "urn:aval:event:tokens-ended"
_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SESSION_REVOKED = f"{_CAEP}session-revoked"  # CAEP 1.0 §3.1
CREDENTIAL_CHANGE = f"{_CAEP}credential-change"  # CAEP 1.0 §3.3
# What an app can ask for. The two below are about the stream itself, and come unasked.
TYPES = (
    CONSENT_ENDED,
    CONSENT_CHANGED,
    CONSENT_PAUSED,
    CONSENT_RESUMED,
    TOKENS_ENDED,
    SESSION_REVOKED,
    CREDENTIAL_CHANGE,
)
_SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
VERIFICATION, STREAM_UPDATED = f"{_SSF}verification", f"{_SSF}stream-updated"

# Kind of entry in the log → type of event, and what it says beside the grant.
CONSENTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "consent_ended": (CONSENT_ENDED, {}),
    "consent_narrowed": (CONSENT_CHANGED, {"change": "narrowed"}),
    "consent_extended": (CONSENT_CHANGED, {"change": "extended"}),
    "consent_changed": (CONSENT_CHANGED, {"change": "changed"}),
    "consent_renewed": (CONSENT_CHANGED, {"change": "renewed"}),
    "consent_paused": (CONSENT_PAUSED, {}),
    "consent_resumed": (CONSENT_RESUMED, {}),
    "token_replay": (TOKENS_ENDED, {"reason": "replayed"}),
}
# Kind of entry → what has become of which credential (CAEP 1.0 §3.3; "passkey" is an addition of ours: the entry does
# not say on what device it is).
CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "password_changed": {"credential_type": "password", "change_type": "update"},
    "passkey_added": {"credential_type": "passkey", "change_type": "create"},
    "passkey_removed": {"credential_type": "passkey", "change_type": "delete"},
    "totp_on": {"credential_type": "app", "change_type": "create"},
    "totp_off": {"credential_type": "app", "change_type": "delete"},
}
# Who began it, in CAEP's words (§2): the rest is not said, and of a guardian no more than of the person herself.
INITIATORS: Mapping[str, str] = {
    "person": "user",
    "guardian": "user",
    "operator": "admin",
    "organisation": "admin",
    "system": "system",
}

MANAGE, READ = "ssf.manage", "ssf.read"  # scopes of the app's own token; whoever may manage may read

KEPT = timedelta(days=30)  # how long an event waits for its app
VERIFY_EVERY = timedelta(seconds=60)
AT_ONCE = 100  # events of one answer
BODY_DEPTH = 12
ACKS = 1000  # of one call
EVENTS_ASKED, TEXT, AUTHORIZATION = 100, 1000, 4096  # how many, and characters
SILENCES = 10_000  # people that one stream does without
STATE = 1000  # characters of a verification's state
# RFC 8935 §2.4, RFC 8936 §2.6: what a receiver may say is wrong. Anything else is not repeated in the operator's log.
ERRORS = frozenset(
    (
        "invalid_request",
        "invalid_key",
        "invalid_issuer",
        "invalid_audience",
        "authentication_failed",
        "access_denied",
    )
)
