"""The checks of an authorization request's parameters. Each takes the value ("": not sent) and returns what is kept.

Each raises Refused with the error of the standard. The table in parameters.py assigns the checks to the parameters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from gateway.apps import addresses
from gateway.apps.registration import Registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import details, hints, openid, rules
from gateway.authorization import scopes as scoped
from gateway.authorization.rules import Refused
from gateway.catalogue.scopes import TAKEN
from gateway.catalogue.sign_ins import ACRS
from gateway.consent import amending, deciding, granting
from gateway.consent.asking import may_ask
from gateway.consent.itself import ITSELF, SIGN_IN, location
from gateway.consent.request import Ask, InvalidDetails, validate
from gateway.consent.rules import MERGE, REPLACE
from gateway.consent.tables import Consent
from gateway.house import House
from gateway.organisations.views import directory, everyone

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TAGS = re.compile(r"[A-Za-z0-9 -]{0,100}")


@dataclass(frozen=True, slots=True)
class Asking:
    """The app that makes the request, and all parameters it sent."""

    session: Session
    house: House
    app: App
    client: Registration  # what the app has registered
    sent: Mapping[str, str]


def redirect_uri(value: str, asking: Asking) -> str:
    """The registered address to answer to. Always required, even if only one is registered (FAPI 2.0)."""
    if not value:
        raise Refused("invalid_request", "redirect_uri is missing.")
    if not addresses.matches(value, asking.client.redirect_uris, native=asking.client.native):
        raise Refused("invalid_request", "redirect_uri is not one of those registered.")
    return value


def state(value: str, _: Asking) -> str | None:
    """Sent back exactly, or refused: where U+FFFD stands for bytes that were not UTF-8, the original is lost."""
    return _echoed("state", value, rules.STATE_LIMIT)


def nonce(value: str, _: Asking) -> str | None:
    return _echoed("nonce", value, rules.NONCE_LIMIT)


def _echoed(name: str, value: str, limit: int) -> str | None:
    if len(value) > limit or "\ufffd" in value:
        raise Refused("invalid_request", f"{name} is too long or not UTF-8.")
    return value or None


def response_type(value: str, _: Asking) -> None:
    if not value:
        raise Refused("invalid_request", "response_type is missing.")
    if value not in rules.RESPONSE_TYPES:
        raise Refused("unsupported_response_type")


def response_mode(value: str, asking: Asking) -> str:
    """How the answer is given; signed, where the app registered for it (JARM §3)."""
    if value and value not in rules.RESPONSE_MODES:
        raise Refused("invalid_request", f"response_mode: offered are {', '.join(rules.RESPONSE_MODES)}.")
    signed = bool(asking.client.response_alg)
    if signed and value and value not in rules.SIGNED_MODES:
        raise Refused("invalid_request", "response_mode: this client registered for signed answers, jwt.")
    return value or ("jwt" if signed else "query")


def scope(value: str, asking: Asking) -> str:
    """The scopes asked for, each once. `data_access` stands for the authorization_details, and is there with them.

    Names that mean nothing here are left out (RFC 6749 §3.3, OpenID Connect Core §3.1.2.1), unless no other is left;
    the token response says which are granted."""
    places = directory(asking.session).values()
    plain = scoped.names(asking.house.catalogue, places)
    known = {rules.DATA, rules.OFFLINE, *rules.CLIENT_SCOPES, *openid.SCOPES, *plain, *asking.client.scopes}
    asked = {name: None for name in value.split() if name in known}
    if value.split() and not asked:
        raise Refused("invalid_scope", "None of these scopes is known here: see scopes_supported.")
    more = asked.keys() - {rules.DATA, rules.OFFLINE, *asking.client.scopes}
    if more and (more := more - scoped.spelled(asking.client.scopes, asking.house.catalogue, places)):
        said = f"The app did not register these scopes, and has to before it asks for them: {' '.join(sorted(more))}"
        raise Refused("invalid_scope", said[:300])
    if openid.OPENID in asked and SIGN_IN not in asking.house.catalogue.datasets:
        raise Refused("invalid_scope")
    alone = asked.keys() - {rules.DATA, rules.OFFLINE}
    if not alone or "authorization_details" in asking.sent:
        asked |= {rules.DATA: None}
    elif rules.DATA in asked:
        del asked[rules.DATA]
    return " ".join(asked)


def standing_scope(scope: str, asking: Asking) -> str:
    """Of the scopes of a valid request those that stand for something at the places that it names. What is left out
    is told by the token response (RFC 6749 §3.3)."""
    if not set(scope.split()) - TAKEN:
        return scope
    kept = TAKEN | _meant(asking).names
    return " ".join(name for name in scope.split() if name in kept)


def _meant(asking: Asking) -> scoped.Meant:
    house, sent = asking.house, asking.sent
    places, named = everyone(asking.session, house), sent.get("resource", "").split()
    return scoped.meant(sent.get("scope", "").split(), named, places, house.catalogue, house.settings.public_url)


def claims(value: str, asking: Asking) -> str:
    """The claims that are wanted in the ID token itself, and the values that some must have (Connect Core §5.5), with
    `acr_values`: not only a wish, or a step up would lead nowhere (RFC 9470 §5), but for names that nobody knows here,
    which they may be (Core §3.1.2.1); and whom `id_token_hint` names."""
    said = openid.claims_asked(value)
    asked = said if openid.OPENID in asking.sent.get("scope", "").split() else openid.NO_CLAIMS
    asked = asked.with_acr([one for one in asking.sent.get("acr_values", "").split() if one in ACRS])
    hint = asking.sent.get("id_token_hint", "")
    asked = asked.with_sub(_hinted(hint, asking)) if hint else asked
    if "acr" in asked.must and not set(asked.must["acr"]) & set(ACRS):
        raise Refused("unmet_authentication_requirements")
    return openid.kept(asked, asking.house.catalogue)


def _hinted(text: str, asking: Asking) -> str:
    """The `sub` of an ID token that this app had from here, however old it is (OpenID Connect Core §3.1.2.1)."""
    house = asking.house
    hint = hints.read(text, house.keys, house.settings.public_url, house.clock().timestamp())
    if hint is None or hint.client_id != asking.app.client_id:
        raise Refused("invalid_request", "id_token_hint is no ID token of this client.")
    return hint.sub


def code_challenge_method(value: str, asking: Asking) -> None:
    """PKCE with S256 (RFC 9700 §2.1.1), required by most profiles. It is checked here, as Authlib does not insist."""
    wanted = asking.client.profile.challenged or "code_challenge" in asking.sent or value
    if wanted and not value and "code_challenge" not in asking.sent:
        raise Refused("invalid_request", "code_challenge is missing, and code_challenge_method with it: PKCE, S256.")
    if wanted and value not in rules.CHALLENGE_METHODS:
        raise Refused("invalid_request", "code_challenge_method must be S256.")


def code_challenge(value: str, asking: Asking) -> str:
    wanted = asking.client.profile.challenged or "code_challenge_method" in asking.sent or value
    if wanted and not value:
        raise Refused("invalid_request", "code_challenge is missing.")
    if wanted and not _CHALLENGE.fullmatch(value):
        raise Refused("invalid_request", "code_challenge must be 43 characters of base64url.")
    return value


def dpop_jkt(value: str, _: Asking) -> str:
    """The thumbprint of the key to which the code is to be bound (RFC 9449 §10)."""
    if value and not _CHALLENGE.fullmatch(value):
        raise Refused("invalid_request", "dpop_jkt must be 43 characters of base64url.")
    return value


def resource(value: str, asking: Asking) -> str:
    """Where the tokens are to be good, by the addresses of organisations and of /userinfo (RFC 8707 §2)."""
    public_url = asking.house.settings.public_url
    known = {location(public_url, name) for name in directory(asking.session)}
    if openid.OPENID in asking.sent.get("scope", "").split():
        known.add(location(public_url, ITSELF))
    named = list(dict.fromkeys(value.split()))
    if len(named) > rules.RESOURCES_LIMIT or set(named) - known:
        raise Refused("invalid_target")
    return " ".join(named)


def ui_locales(value: str, _: Asking) -> str:
    return _formed("ui_locales", value, _TAGS)


def max_age(value: str, _: Asking) -> int | None:
    return int(_formed("max_age", value, _NUMBER)) if value else None


def _formed(name: str, value: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value):
        raise Refused("invalid_request", f"{name} is malformed.")
    return value


def prompt(value: str, _: Asking) -> str:
    asked = value.split()
    if set(asked) - rules.PROMPTS or ("none" in asked and len(asked) > 1):
        raise Refused("invalid_request", "prompt: none alone, or login, consent, select_account.")
    return " ".join(sorted(set(asked)))


def grant_management_action(value: str, asking: Asking) -> str:
    """What is to be done with grants (Grant Management §5.3)."""
    if not value and asking.house.settings.grant_management_action_required:
        raise Refused("invalid_request", "grant_management_action is missing.")
    _for_confidential(value, asking)
    if value and value not in rules.GRANT_ACTIONS:
        offered = ", ".join(rules.GRANT_ACTIONS)
        raise Refused("invalid_request", f"grant_management_action: offered are {offered}.")
    return value


def grant_id(value: str, asking: Asking) -> str:
    """The grant that is to be changed: it runs, and is this client's. Whose it is shows when she has signed in."""
    _for_confidential(value, asking)
    changes = asking.sent.get("grant_management_action", "") in (MERGE, REPLACE)
    if bool(value) != changes:
        raise Refused("invalid_request", "grant_id and grant_management_action merge or replace come together.")
    if value and granting.find(asking.session, value, asking.app.client_id, asking.house.clock()) is None:
        raise Refused("invalid_grant_id")
    return value


def completion_mode(value: str, _: Asking) -> bool:
    """Whether the app can wait for its tokens (draft-ietf-oauth-deferred-token-response-01, Pre-Token Hints)."""
    return rules.DEFERRED in value.split()


def _for_confidential(value: str, asking: Asking) -> None:
    """Anybody can name a public client, and grants are no secret (Grant Management §5.1)."""
    if value and asking.client.public:
        raise Refused("invalid_request", "Grants are managed by clients that can prove who they are.")


def may_change(asking: Asking, ask: Ask, action: str, grant: str) -> None:
    """Refuse what cannot become part of this grant (`consent.amending`)."""
    target = asking.session.get_one(Consent, grant)
    agreed = deciding.current(asking.session, target)
    try:
        amending.check(ask, action, target, agreed or {}, asking.house.clock())
    except InvalidDetails as error:
        raise refused_details(error) from None


def refused_details(fault: InvalidDetails, error: str = "invalid_authorization_details") -> Refused:
    """RFC 9396 §5. `error`: another one, for who sent no details."""
    return Refused(
        error,
        f"{fault.why}.",
        why=fault.why,
        term=fault.term,
        asked=fault.asked,
        allowed=fault.allowed,
    )


def authorization_details(value: str, asking: Asking) -> Ask:
    """What is asked for, by these details, by scopes and by claims together (RFC 9396 §3)."""
    house, known, app = asking.house, everyone(asking.session, asking.house), view(asking.app)
    settings = house.settings
    scopes, wanted = asking.sent.get("scope", "").split(), openid.claims_asked(asking.sent.get("claims", ""))
    meant = _meant(asking)
    if not value and not meant.rows and openid.OPENID not in scopes:
        if set(scopes) - TAKEN:
            raise Refused("invalid_scope", "These scopes stand for no data there.")
        raise Refused("invalid_request", "authorization_details is missing, and no scope stands for data.")
    scoped.check_one_purpose(meant)
    try:
        rows = [*(details.parse(value) if value else []), *meant.rows]
        rows = [*rows, *openid.details(scopes, wanted, rows, house.catalogue, settings.public_url)]
        app = scoped.registered(app, meant)
        ask = validate(rows, app, known, house.catalogue, settings.public_url, house.clock())
    except InvalidDetails as error:
        raise refused_details(error, "invalid_authorization_details" if value else "invalid_scope") from None
    decision = may_ask(house.policies, app, ask, {name: facts.active for name, facts in known.items()})
    if not decision.permitted:
        raise Refused("unauthorized_client", "A policy forbids this request.", reason=decision.reason)
    return ask
