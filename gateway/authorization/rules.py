"""The rules of this server as tables: known names, limits, texts of errors."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gateway.consent.rules import CREATE, MERGE, REPLACE

TYPE = "data_access"  # the one authorization_details type (RFC 9396)
# Of tokens for a client itself, with no person behind them (RFC 6749 §4.4): what each lets it do with what is its own.
CLIENT_SCOPES = {
    "grant_management_query": "Read what is granted to it now (Grant Management §6.3).",
    "grant_management_revoke": "End a grant (Grant Management §6.4).",
    "ssf.read": "Read its stream of events, and poll it (Shared Signals, scopes of the CAEP profile).",
    "ssf.manage": "The same, and make, change and delete the stream.",
}
SCOPE_NEEDED = {
    "grant": "grant_management_query",
    "uk_consent": "grant_management_query",
    "grant_end": "grant_management_revoke",
    "uk_consent_end": "grant_management_revoke",
}
# What an authorization request may do with grants (Grant Management §5.3).
GRANT_ACTIONS = (CREATE, MERGE, REPLACE)
DATA = "data_access"  # means nothing beyond the details; exists for client libraries that must send a scope
OFFLINE = "offline_access"  # means nothing either: a refresh token comes with every agreement that lasts
RESPONSE_TYPES = ("code",)
DEFERRED = "deferred"  # the completion_mode that there is
SIGNED_MODES = ("jwt", "query.jwt")  # JARM §2.3: for a code, jwt means query.jwt
RESPONSE_MODES = ("query", *SIGNED_MODES)
CHALLENGE_METHODS = ("S256",)
SIGNS = ("ES256", "PS256", "RS256", "EdDSA")  # algorithms of what this server signs for clients
PROMPTS = frozenset(("none", "login", "consent", "select_account"))
REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

STATE_LIMIT = 8192  # characters; longer ones are refused, never cut
NONCE_LIMIT = 512
DETAILS_LIMIT = 64 * 1024  # bytes
DETAILS_DEPTH = 20
DETAILS_COUNT = 50
ASSERTION_LIMIT = 16 * 1024  # characters
HINT_LIMIT = 16 * 1024  # … of an ID token that comes back
LOGOUT_STATE_LIMIT = 1024  # … of the state of /end-session, which travels in an address
OBJECT_LIMIT = 48 * 1024  # … of a signed request
OBJECT_SECONDS = 3600  # from `nbf` of a signed request to its `exp`; so old may it be (FAPI 2.0 Message Signing §5.3.1)
MESSAGE_LIMIT = 100  # characters of a binding_message
RESOURCES_LIMIT = 20  # of one request (RFC 8707)
ASSERTION_SECONDS = 3600  # furthest `exp` of a client assertion
CLOCK_EARLY = 60  # seconds that a peer's clock may run ahead; it may not run behind by more than
CLOCK_LATE = 10
FAILURES_A_MINUTE = 10
REQUESTS_A_MINUTE = 120  # unauthenticated requests for one app from one network: each is stored for a day

# error → error_description. Fixed texts in plain ASCII (RFC 6749 §5.2) that repeat nothing the caller sent.
DESCRIPTIONS = {
    "invalid_client": "Client authentication failed.",
    "invalid_grant": "The code or token is unknown, expired, used, ended, or of another client.",
    "authorization_pending": "The person has not answered yet.",
    "slow_down": "Wait longer between two calls: five seconds more than before.",
    "expired_token": "The time to answer is over. Begin again.",
    "invalid_dpop_proof": "The DPoP proof is not good for this call, or was used before.",
    "invalid_token": "The access token is unknown, expired, ended, not for here, or not of this caller.",
    "insufficient_scope": "The access token lacks a scope.",
    "invalid_request_object": "The signed request is not good.",
    "invalid_target": "A resource is the address of an organisation that is asked for, as protected_resources of the "
    "metadata lists them; with openid also /userinfo.",
    "use_dpop_nonce": "Put the nonce of the DPoP-Nonce header into the proof.",
    "unsupported_grant_type": "The metadata of this server lists the grants that it supports.",
    "unsupported_response_type": "Supported: code.",
    "unauthorized_client": "This client may not do this.",
    "invalid_grant_id": "There is no such grant of this client and this person, or it has ended.",
    "unknown_user_id": "No person whom this client may ask is known by this hint.",
    "invalid_binding_message": "binding_message: at most 100 plain characters, no address.",
    "not_found": "There is no such grant of this client.",
    "invalid_scope": "A scope that this server does not know, or that the client did not register.",
    "invalid_request": "The request is malformed.",
    "access_denied": "The person did not agree.",
    "login_required": "The person has to sign in.",
    "consent_required": "The person has to agree.",
    "interaction_required": "The person has to do something first.",
    "unmet_authentication_requirements": "The person has not signed in in the way that is essential.",
}

# Required with every 401 (RFC 9110 §15.5.2, RFC 6749 §5.2). Basic is the only scheme apps may use in the header.
CHALLENGE = {"WWW-Authenticate": 'Basic realm="aval", charset="UTF-8"'}


class Refused(Exception):
    """An OAuth error to answer. The door turns it into an answer itself, so that the transaction still commits."""

    def __init__(
        self,
        error: str,
        description: str = "",
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = description or DESCRIPTIONS.get(error, "")
        self.status = status
        self.headers = {**(CHALLENGE if status == 401 else {}), **(headers or {})}
        self.members = members  # members beyond the standard: reason, term, asked, allowed, why


class Step(StrEnum):
    """What comes next for an authorization request and the person who has opened it."""

    SIGN_IN = "sign in"
    SIGN_IN_AGAIN = "sign in again"
    LINK = "link"
    GUARDIAN_NEEDED = "guardian needed"
    CONSENT = "consent"
    UNMET = "unmet"  # she has signed in once more, and still not as the app must have it
    HAND_OVER = "hand over"  # her guardian has agreed; she signs in herself
    REFUSED = "refused"
    ISSUE = "issue"


# With prompt=none no page is shown (OpenID Connect Core §3.1.2.6). The error to answer instead of each page.
SILENT = {
    Step.SIGN_IN: "login_required",
    Step.SIGN_IN_AGAIN: "login_required",
    Step.LINK: "interaction_required",
    Step.GUARDIAN_NEEDED: "interaction_required",
    Step.HAND_OVER: "interaction_required",
    Step.UNMET: "login_required",
    Step.CONSENT: "consent_required",
    Step.REFUSED: "access_denied",
}
