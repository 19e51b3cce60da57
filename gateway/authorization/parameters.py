"""The parameters this server knows, in one table (endpoints, check, metadata), and how they are read.

empty           treated as not sent (RFC 6749 §3.1, §3.2)
repeated        refused if this server knows the parameter
unknown         ignored, however often it is sent
in the address  refused at endpoints that take a form: addresses end up in logs (RFC 6749 §2.3.1, §3.2)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gateway.authorization import checks, rules, smart
from gateway.authorization.assertions import ALGORITHMS
from gateway.authorization.checks import Asking
from gateway.authorization.rules import Refused
from gateway.catalogue.sign_ins import ACRS
from gateway.ground.keys import dpop
from gateway.ground.web.context import Context
from gateway.settings import LANGUAGES

AUTHORIZE, PAR, TOKEN, REVOKE, INTROSPECT = "authorize", "par", "token", "revoke", "introspect"
GRANT, GRANT_END, UK_CONSENT, UK_CONSENT_END = "grant", "grant_end", "uk_consent", "uk_consent_end"
ARRANGEMENT_END = "arrangement_end"
USERINFO, DEVICE, END_SESSION = "userinfo", "device_authorization", "end-session"
BACKCHANNEL = "backchannel_authentication"
DEFERRED = "deferred"  # no endpoint: a token request that waits for the person (deferring.py)
_ASKING = (AUTHORIZE, PAR)
_LATER = (DEVICE, BACKCHANNEL, DEFERRED)  # requests that are answered without a redirect
_APPS = (PAR, TOKEN, REVOKE, INTROSPECT, ARRANGEMENT_END, *_LATER)  # where an app says who it is


Check = Callable[[str, Asking], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    endpoints: tuple[str, ...]  # that know it
    check: Check | None = None  # in an authorization request: value ("": not sent) → what is kept of it
    says: Mapping[str, Any] = field(default_factory=dict)  # members of the server's metadata
    many: bool = False  # may be given several times


_SIGNED = {
    "request_parameter_supported": True,
    "require_signed_request_object": False,
    "request_object_signing_alg_values_supported": list(ALGORITHMS),
}
_MODES = {
    "response_modes_supported": list(rules.RESPONSE_MODES),
    "authorization_signing_alg_values_supported": list(rules.SIGNS),
}
_ACTIONS = {"grant_management_actions_supported": ["query", "revoke", *rules.GRANT_ACTIONS]}
_PROOFS = {"dpop_signing_alg_values_supported": list(dpop.ALGORITHMS)}
SIGNED_FROM = ("client_id", "client_secret", "client_assertion", "client_assertion_type")  # count beside an object

# In the order in which an authorization request is checked: redirect_uri and state first, because errors of the later
# parameters are answered with them.
PARAMETERS = (
    Parameter("client_id", (AUTHORIZE, END_SESSION, *_APPS)),
    Parameter("client_secret", _APPS),
    Parameter("client_assertion", _APPS),
    Parameter("client_assertion_type", _APPS),
    Parameter("redirect_uri", (*_ASKING, TOKEN), checks.redirect_uri),
    Parameter("state", (*_ASKING, END_SESSION), checks.state),
    # False must be said: a missing member would mean true (OpenID Connect Discovery §3).
    Parameter("request", (*_ASKING, BACKCHANNEL), says=_SIGNED),
    Parameter("request_uri", _ASKING, says={"request_uri_parameter_supported": False}),
    Parameter("response_type", _ASKING, checks.response_type, {"response_types_supported": list(rules.RESPONSE_TYPES)}),
    Parameter("response_mode", _ASKING, checks.response_mode, _MODES),
    Parameter("scope", (*_ASKING, *_LATER, TOKEN), checks.scope),
    Parameter("claims", (*_ASKING, *_LATER), checks.claims, {"claims_parameter_supported": True}),
    Parameter("acr_values", (*_ASKING, *_LATER, TOKEN), says={"acr_values_supported": list(ACRS)}),
    Parameter(
        "code_challenge_method",
        _ASKING,
        checks.code_challenge_method,
        {"code_challenge_methods_supported": list(rules.CHALLENGE_METHODS)},
    ),
    Parameter("code_challenge", _ASKING, checks.code_challenge),
    Parameter("dpop_jkt", (*_ASKING, *_LATER), checks.dpop_jkt, _PROOFS),
    Parameter("resource", (*_ASKING, *_LATER, TOKEN), checks.resource, many=True),
    Parameter("nonce", _ASKING, checks.nonce),
    Parameter(
        "ui_locales",
        (*_ASKING, *_LATER, END_SESSION),
        checks.ui_locales,
        {"ui_locales_supported": list(LANGUAGES)},
    ),
    Parameter("prompt", _ASKING, checks.prompt, {"prompt_values_supported": sorted(rules.PROMPTS)}),
    Parameter("max_age", (*_ASKING, TOKEN), checks.max_age),
    Parameter("grant_management_action", (*_ASKING, *_LATER), checks.grant_management_action, _ACTIONS),
    Parameter("grant_id", (*_ASKING, *_LATER), checks.grant_id),
    Parameter(
        "completion_mode",
        (*_ASKING, TOKEN),
        checks.completion_mode,
        {"deferred_token_response_supported": True},
    ),
    Parameter(
        "authorization_details",
        (*_ASKING, *_LATER, TOKEN),
        checks.authorization_details,
        {"authorization_details_types_supported": [rules.TYPE]},
    ),
    Parameter("grant_type", (TOKEN,)),
    Parameter("code", (TOKEN,)),
    Parameter("code_verifier", (TOKEN,)),
    Parameter("device_code", (TOKEN,)),
    Parameter("auth_req_id", (TOKEN,)),
    Parameter("deferral_code", (TOKEN,)),
    Parameter("client_notification_token", (BACKCHANNEL, TOKEN)),
    Parameter("login_hint", (BACKCHANNEL,)),
    Parameter("login_hint_token", (BACKCHANNEL,)),
    Parameter("binding_message", (BACKCHANNEL,)),
    Parameter("requested_expiry", (BACKCHANNEL,)),
    Parameter("refresh_token", (TOKEN,)),
    Parameter("subject_token", (TOKEN,)),
    Parameter("subject_token_type", (TOKEN,)),
    Parameter("actor_token", (TOKEN,)),
    Parameter("actor_token_type", (TOKEN,)),
    Parameter("requested_token_type", (TOKEN,)),
    Parameter("audience", (TOKEN,), many=True),
    Parameter("token", (REVOKE, INTROSPECT)),
    Parameter("token_type_hint", (REVOKE, INTROSPECT)),
    Parameter("id_token_hint", (*_ASKING, END_SESSION, BACKCHANNEL)),
    Parameter("logout_hint", (END_SESSION,)),  # the ID token says it better
    Parameter("post_logout_redirect_uri", (END_SESSION,)),
    Parameter("cdr_arrangement_id", (ARRANGEMENT_END,)),
)
AUDIENCE = "aud"  # of SMART clients: a `resource` by another name. In a signed request it is who the request is for
_NAMES = frozenset(parameter.name for parameter in PARAMETERS)
_MANY = frozenset(parameter.name for parameter in PARAMETERS if parameter.many)


@cache
def names(endpoint: str) -> frozenset[str]:
    """Those that this endpoint knows."""
    return frozenset(parameter.name for parameter in PARAMETERS if endpoint in parameter.endpoints)


def given(ctx: Context, endpoint: str, sent: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parameters in `sent` (query or form) that this endpoint knows and that are not empty. Those that may be given
    several times have their values joined by spaces. Raises Refused."""
    known_here = names(endpoint)
    if (known_here - _MANY) & ctx.repeated:
        raise Refused("invalid_request", "A parameter is given twice.")
    if any(" " in value for name in _MANY & known_here for value in sent.get(name, ())):
        raise Refused("invalid_target")
    found = known(endpoint, {name: " ".join(filter(None, values)) for name, values in sent.items()})
    named = [smart.audience(one, ctx.house.settings.public_url) for one in sent.get(AUDIENCE, ()) if one]
    if named and endpoint in _ASKING:
        own = [] if "resource" in found else smart.userinfo(found.get("scope", ""), ctx.house.settings.public_url)
        found["resource"] = " ".join([*found.get("resource", "").split(), *named, *own])
    return found


def known(endpoint: str, sent: Mapping[str, str]) -> dict[str, str]:
    """Those of `sent` that this endpoint knows and that are not empty."""
    known_here = names(endpoint)
    return {name: value for name, value in sent.items() if value and name in known_here}


def of_form(ctx: Context, endpoint: str) -> dict[str, str]:
    """The parameters of a form that count. Raises Refused, also when any is in the address."""
    media_type = ctx.request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "Send a form: application/x-www-form-urlencoded.")
    if _NAMES & ctx.query.keys():
        raise Refused("invalid_request", "Send parameters in the body, not in the address.")
    return given(ctx, endpoint, ctx.form_lists)
