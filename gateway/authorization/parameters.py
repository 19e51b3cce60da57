"""The parameters this server knows, in one table, and the one way they are read.

empty      as if it had not been sent (RFC 6749 §3.1, §3.2)
repeated   refused, when this server knows it
unknown    ignored, however often it is sent
elsewhere  a parameter of a form stands in no address: addresses end up in logs (RFC 6749 §2.3.1, §3.2)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.authorization.rules import Refused
from gateway.ground.web.doors import Context

AUTHORIZE, PAR, TOKEN, REVOKE, INTROSPECT = "authorize", "par", "token", "revoke", "introspect"
_ASKING = (AUTHORIZE, PAR)
_APPS = (PAR, TOKEN, REVOKE, INTROSPECT)  # where an app says who it is


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    endpoints: tuple[str, ...]  # where it is known


PARAMETERS = (
    Parameter("client_id", (AUTHORIZE, *_APPS)),
    Parameter("client_secret", _APPS),
    Parameter("client_assertion", _APPS),
    Parameter("client_assertion_type", _APPS),
    Parameter("redirect_uri", (*_ASKING, TOKEN)),
    Parameter("state", _ASKING),
    Parameter("request", _ASKING),
    Parameter("request_uri", _ASKING),
    Parameter("response_type", _ASKING),
    Parameter("response_mode", _ASKING),
    Parameter("scope", (*_ASKING, TOKEN)),
    Parameter("code_challenge", _ASKING),
    Parameter("code_challenge_method", _ASKING),
    Parameter("nonce", _ASKING),
    Parameter("ui_locales", _ASKING),
    Parameter("prompt", _ASKING),
    Parameter("max_age", _ASKING),
    Parameter("authorization_details", (*_ASKING, TOKEN)),
    Parameter("grant_type", (TOKEN,)),
    Parameter("code", (TOKEN,)),
    Parameter("code_verifier", (TOKEN,)),
    Parameter("refresh_token", (TOKEN,)),
    Parameter("token", (REVOKE, INTROSPECT)),
    Parameter("token_type_hint", (REVOKE, INTROSPECT)),
)
_NAMES = frozenset(parameter.name for parameter in PARAMETERS)


def given(ctx: Context, endpoint: str, sent: Mapping[str, str]) -> dict[str, str]:
    """Of what was `sent` to the endpoint, in query or form, the parameters that count. Raises Refused."""
    known = {parameter.name for parameter in PARAMETERS if endpoint in parameter.endpoints}
    if known & ctx.repeated:
        raise Refused("invalid_request", "A parameter is given twice.")
    return {name: value for name, value in sent.items() if value and name in known}


def of_form(ctx: Context, endpoint: str) -> Context:
    """The same call with only what counts in its form, which is where alone parameters may stand."""
    media_type = ctx.request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "Send a form: application/x-www-form-urlencoded.")
    if _NAMES & ctx.query.keys():
        raise Refused("invalid_request", "Send parameters in the body, not in the address.")
    form = given(ctx, endpoint, ctx.form)
    return replace(ctx, form=form, form_lists={name: [value] for name, value in form.items()})
