"""The rules of this server as tables: names it knows, limits it keeps, words of its errors."""

from enum import StrEnum
from typing import Any

TYPE = "data_access"  # the one authorization_details type (RFC 9396)
SCOPES = ("data_access",)  # says nothing beyond the details; the easy way for clients that insist on a scope
RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query",)
CHALLENGE_METHODS = ("S256",)
PROMPTS = frozenset(("none", "login", "consent", "select_account"))
REQUEST_URI = "urn:ietf:params:oauth:request_uri:"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Algorithms of client assertions. RFC 9864 calls it Ed25519, peers still send EdDSA.
SIGNING = ("ES256", "PS256", "EdDSA", "Ed25519")

STATE_LIMIT = 8192  # characters; longer ones are refused, never cut
NONCE_LIMIT = 512
DETAILS_LIMIT = 64 * 1024  # bytes
DETAILS_DEPTH = 20
DETAILS_COUNT = 50
ASSERTION_LIMIT = 16 * 1024
ASSERTION_SECONDS = 3600  # furthest `exp` of a client assertion
CLOCK_EARLY = 60  # seconds that a peer's clock may run ahead; it may not run behind by more than
CLOCK_LATE = 10
FAILURES_A_MINUTE = 10
REQUESTS_A_MINUTE = 120  # of one app from one network, when anybody could have sent them: each is kept for a day

# error → what its description says. Ours, plain ASCII (RFC 6749 §5.2): nothing from outside is repeated.
DESCRIPTIONS = {
    "invalid_client": "Client authentication failed.",
    "invalid_grant": "The code or token is unknown, expired, used, ended, or of another client.",
    "unsupported_grant_type": "Supported: authorization_code, refresh_token.",
    "unsupported_response_type": "Supported: code.",
    "unauthorized_client": "This client may not do this.",
    "invalid_scope": "Supported: data_access.",
    "invalid_request": "The request is malformed.",
    "access_denied": "The person did not agree.",
    "login_required": "The person has to sign in.",
    "consent_required": "The person has to agree.",
    "interaction_required": "The person has to do something first.",
}

# With every 401 (RFC 9110 §15.5.2, RFC 6749 §5.2): the one scheme of the header that apps may use.
CHALLENGE = {"WWW-Authenticate": 'Basic realm="aval", charset="UTF-8"'}


class Refused(Exception):
    """An OAuth error to be answered. It is turned into an answer inside the door, so that the transaction commits."""

    def __init__(
        self,
        error: str,
        description: str = "",
        *,
        status: int = 400,
        **members: Any,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = description or DESCRIPTIONS.get(error, "")
        self.status = status
        self.headers = CHALLENGE if status == 401 else {}
        self.members = members  # ours: reason, term, asked, allowed, why


class Step(StrEnum):
    """What comes next for an authorization request and whoever has opened it."""

    SIGN_IN = "sign in"
    SIGN_IN_AGAIN = "sign in again"
    LINK = "link"
    GUARDIAN_NEEDED = "guardian needed"
    CONSENT = "consent"
    REFUSED = "refused"
    ISSUE = "issue"


# prompt=none (OpenID Connect Core §3.1.2.6): the error in place of a page
SILENT = {
    Step.SIGN_IN: "login_required",
    Step.SIGN_IN_AGAIN: "login_required",
    Step.LINK: "interaction_required",
    Step.GUARDIAN_NEEDED: "interaction_required",
    Step.CONSENT: "consent_required",
    Step.REFUSED: "access_denied",
}
