"""`/problems/{code}`: the page that the `type` of a problem (RFC 9457) links to. For developers of apps."""

from starlette.responses import Response

from gateway import errors
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door

# reason → what an app should do about it
ADVICE = {
    "ended": "Stop calling and forget the tokens. If you still need the data, send the person a new request.",
    "paused": "Keep your tokens and try again later, at most once an hour. The person may resume at any time.",
    "suspended": "Stop calling. The operator or the organisation has to lift it.",
    "frequency": "Wait for the seconds in Retry-After. Following pages of one listing count as one call.",
    "too_many_calls": "Wait for the seconds in Retry-After, and spread your calls. It is no term of the person's.",
    "max_uses": "This was for one use. Send the person a new request.",
    "period": "Ask for a time within `allowed`, or leave the time out: the answer is then cut to what was agreed.",
    "account": "Use the account references of your token response.",
    "dataset": "Read authorization_details of your token response: it says what was granted.",
    "field": "Leave out what `asked` names: it is unknown, or would show or probe what is not shared; see `allowed`.",
    "log_frozen": "Keep your tokens and wait for the seconds in Retry-After: the operator has to look first.",
    "no_consent": "Forget the tokens and send the person a new request.",
    "not_yet_valid": "Try again after the time in `allowed`.",
    "purpose": "Ask the operator of this gateway to register your app for the purpose.",
    "app_not_allowed": "Under a certain age a guardian has to agree. Send the person a new request.",
    "policy": "Ask the operator of this gateway about the policy that `allowed` names.",
    "strong_sign_in_needed": "Send the person a new request: she signs in again on the way.",
    "sign_in_too_weak": "Send the person a new request with these `acr_values`: she signs in so on the way.",
    "sign_in_too_old": "Send the person a new request with this `max_age`: she signs in again on the way.",
    "invalid_token": "Get a new access token with your refresh token. An access token lives five minutes at most.",
    "method_not_allowed": "Read with GET or HEAD. Nothing can be written through the gateway.",
    "no_data": "Try again when the organisation may have given its next file, tomorrow at the earliest.",
    "not_there": "Do not repeat the call: take ids and addresses from lists that you were given.",
    "not_linked": "The person has to link her account again. Tell her; a new request leads her there.",
}
OTHERWISE = "Try again later. Nothing of the answer was given out."
BEFORE = "Correct the request."


# codes that are neither in errors.REASONS nor of an error class
OTHERS = {
    "invalid_token": (401, "A valid access token is needed."),
    "method_not_allowed": (405, "This method is not allowed here."),
}


def advice(code: str) -> str:
    """What an app should do about a refusal: a reason, or a code of OTHERS."""
    return ADVICE.get(code, OTHERWISE)


def problem(ctx: Context) -> Response:
    """What the `type` of a problem (RFC 9457) leads to: what it means and what an app should do. 404 for an unknown
    code.
    """
    code = ctx.path["code"]
    if code in errors.REASONS or code in OTHERS:
        status, title = errors.REASONS.get(code) or OTHERS[code]
        return ctx.page("problem.html", code=code, answered=status, title=title, advice=advice(code))
    known = next((kind for kind in errors.kinds() if kind.code == code), None)
    if known is None:
        raise errors.NotFound("problem")
    return ctx.page("problem.html", code=code, answered=known.status, title=known.public, advice=BEFORE)


DOORS = [Door("/problems/{code}", problem, opens="none", name="problem")]
