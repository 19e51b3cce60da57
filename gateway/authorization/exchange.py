"""Token exchange (RFC 8693): a token of one agreement for who reads in the app's place, never for more than it.

    a processor        another app, to which the agreement and the app's registration both say that it is passed on:
                       it exchanges the app's access token for one of its own
    a representative   the person's guardian, who uses the app: the app exchanges its access token, with an ID token of
                       hers as `actor_token`, for one that says for whom it reads

What comes out hangs from the same family and consent, and says who acts (`act`, §4.1). So it dies with them, and
whether the actor still may is read at every call (proxy/compiling.py). It never lives longer than what it was exchanged
for, reaches nothing more, is no more freely used (a bound token gives a bound one), cannot be refreshed, and cannot be
exchanged again.

    1. the form says what RFC 8693 asks     4. the caller may act by it, or the actor may
    2. an access token of ours, alive       5. for no more places and no more scopes
    3. not exchanged before                 6. bound as strongly
"""

from collections.abc import Mapping
from typing import Any

from gateway.apps.profiles import EXCHANGE
from gateway.authorization import families, hints, narrowing, scopes, tokens
from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.openid import OPENID, SCOPES
from gateway.authorization.rules import DATA, OFFLINE, Refused
from gateway.authorization.subjects import subject
from gateway.authorization.tables import TokenFamily
from gateway.consent import lesser
from gateway.consent.facts import PersonFacts
from gateway.consent.lesser import Portion
from gateway.consent.terms import granted_items, processors
from gateway.ground.keys import access, fresh

GRANT = EXCHANGE
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
_TO_ITSELF = {OPENID, OFFLINE, *SCOPES}  # who signed in, and coming back: the app's own, never another's

Claims = Mapping[str, Any]


def exchanged(call: EndpointCall) -> dict[str, Any]:
    """The token response (RFC 8693 §2.2.1). Raises Refused; of what is wrong with a token, invalid_request (§2.2.2)."""
    ctx = call.ctx
    _check_form(call)  # 1
    claims, granted = _subject(call)  # 2, 3
    acts = _representative(call, claims, granted) if "actor_token" in call.form else _processor(call, claims, granted)
    audience = _audience(call.form, claims, ctx.house.settings.public_url)  # 5
    scope = _scope(call.form.get("scope", ""), claims["scope"])
    left = narrowing.carried(call, scope, "", _left(call, granted, claims, scope)).terms
    if claims.get("cnf") and not call.binding.confirmation:  # 6
        raise _wrong("subject_token is bound to a key: prove one of your own (DPoP, or a certificate).")
    return _response(call, claims, granted, {"act": {"sub": acts}, "aud": audience, "scope": scope}, left)


def _wrong(description: str) -> Refused:
    return Refused("invalid_request", description)


def _check_form(call: EndpointCall) -> None:
    form = call.form
    if call.client.public:
        raise Refused("unauthorized_client", "A public client cannot be authenticated.")
    if "subject_token" not in form or form.get("subject_token_type") != ACCESS_TOKEN:
        raise _wrong("subject_token is missing, or its type is not an access token.")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise _wrong("requested_token_type is another than an access token.")
    if ("actor_token" in form) is not ("actor_token_type" in form):
        raise _wrong("actor_token and actor_token_type come together.")
    if form.get("actor_token_type", ID_TOKEN) != ID_TOKEN:
        raise _wrong("actor_token_type is another than an ID token.")


def _subject(call: EndpointCall) -> tuple[Claims, GrantedFamily]:
    """The claims of the subject token, and what it stands on now. The person's turn is taken."""
    ctx = call.ctx
    claims = tokens.read(call.form["subject_token"], ctx.house.keys, ctx.house.settings.public_url, ctx.now)
    family = tokens.family_of(ctx.session, claims) if claims else None
    if claims is None or family is None or claims["exp"] <= ctx.now.timestamp():
        ctx.house.log.require_whole()  # it may be in what is missing
        raise _wrong("subject_token is no access token of this server, or is over.")
    if "act" in claims:  # 3
        raise _wrong("subject_token was exchanged before: not again.")
    ctx.house.log.turn(ctx.session, family.person_id)
    granted = families.standing(ctx.session, family, ctx.now)
    if granted == "paused":
        raise Refused("access_denied", "The sharing is paused.", status=403, reason="paused")
    if not isinstance(granted, GrantedFamily) or claims["client_id"] != family.client_id:
        raise _wrong("subject_token is no access token of this server, or is over.")
    return claims, granted


def _processor(call: EndpointCall, claims: Claims, granted: GrantedFamily) -> str:
    """The caller, to whom the app may pass the data on. What the agreement says counts, and what the app says today."""
    app = call.facts.app(call.ctx.session, claims["client_id"])
    named = processors(granted.terms, app)
    if call.client.client_id not in named or not app.active:  # never oneself: declare.py
        raise _wrong("subject_token is of an app that does not pass data on to you, or not by this agreement.")
    return call.client.client_id


def _representative(call: EndpointCall, claims: Claims, granted: GrantedFamily) -> str:
    """The guardian's `sub`: of an unexpired ID token that this server made for the caller, who reads by its own
    grant."""
    if claims["client_id"] != call.client.client_id:
        raise _wrong("With an actor_token, subject_token is your own access token.")
    ctx, keys = call.ctx, call.ctx.house.keys
    now = ctx.now.timestamp()
    actor = hints.read(call.form["actor_token"], keys, ctx.house.settings.public_url, now)
    if actor is None or actor.client_id != call.client.client_id or actor.expires <= now:
        raise _wrong("actor_token is no ID token of yours from this server, or is over.")
    guardian = _guardian(call.facts.person(ctx.session, granted.consent.person_id))
    if not guardian or actor.sub != subject(keys, guardian, call.client):
        raise _wrong("actor_token is of somebody who does not decide for this person.")
    return actor.sub


def _guardian(person: PersonFacts) -> str:
    """Who decides for this person in her place, now; "": nobody."""
    other = person.guardian_id or ""
    return other if other and other != person.id and person.decided_by(other) else ""


def _audience(form: Mapping[str, str], claims: Claims, public_url: str) -> list[str]:
    """Organisations of the subject token, as far as `resource` and `audience` ask for them. What we know of the person
    ourselves (/userinfo) is told to nobody but the app."""
    ours = [f"{public_url}/data/{name}" for name in sorted(access.organisations(dict(claims), public_url))]
    for asked in (form.get("resource", "").split(), form.get("audience", "").split()):
        if set(asked) - set(ours):
            raise Refused("invalid_target")
        ours = [one for one in ours if one in asked] if asked else ours
    if not ours:
        raise Refused("invalid_target")
    return ours


def _scope(asked: str, held: str) -> str:
    """Scopes of the subject token, as far as they are asked for."""
    passed = [name for name in held.split() if name not in _TO_ITSELF]
    wanted = asked.split() or passed
    if not wanted or set(wanted) - set(passed):
        raise Refused("invalid_scope", "Ask for scopes of subject_token that stand for data.")
    return " ".join(name for name in passed if name in wanted)


def _left(call: EndpointCall, granted: GrantedFamily, claims: Claims, kept: str) -> dict[str, Any]:
    """The terms as far as the new token is good for them: no further than the subject token, and of fewer scopes for
    less data.

    `data_access` stands for all that was asked for by details, which nobody can tell from what was asked for by scopes:
    with it everything is kept but what the scopes left out stand for.
    """
    terms = tokens.carried(granted, claims, call.ctx.house.settings.public_url).terms
    out = set(claims["scope"].split()) - set(kept.split()) - _TO_ITSELF
    if not out:
        return terms
    lost, left = _meant(call, granted, out), _meant(call, granted, set(kept.split()))
    every = {(item["organisation"], item["dataset"]) for item in granted_items(terms)}
    good = every - (lost - left) if DATA in kept.split() else every & left
    if not good:
        raise Refused("invalid_scope", "Nothing is granted for these scopes.")
    return lesser.lessened(terms, [Portion(*each) for each in sorted(good)])


def _meant(call: EndpointCall, granted: GrantedFamily, names: set[str]) -> set[tuple[str, str]]:
    ctx, settings = call.ctx, call.ctx.house.settings
    directory, resources = call.facts.directory(ctx.session), granted.family.resource.split()
    meant = scopes.meant(sorted(names), resources, directory, ctx.house.catalogue, settings.public_url)
    return {(one.organisation, one.dataset) for one in meant.declared}


def _response(
    call: EndpointCall, claims: Claims, granted: GrantedFamily, said: Mapping[str, Any], left: dict[str, Any]
) -> dict[str, Any]:
    ctx, client, settings = call.ctx, call.client, call.ctx.house.settings
    now, parts = int(ctx.now.timestamp()), lesser.between(granted.terms, left)
    lifetime = min(claims["exp"] - now, tokens.seconds_left(granted, settings.token_seconds, ctx.now))
    if lifetime < 1:
        raise _wrong("subject_token is no access token of this server, or is over.")
    new = {
        **{name: claims[name] for name in ("iss", "auth_time", "acr", "grant_id", "fam") if name in claims},
        "grant_version": granted.consent.version,
        "sub": subject(ctx.house.keys, granted.consent.person_id, client),
        "client_id": client.client_id,
        "iat": now,
        "exp": now + lifetime,
        "jti": fresh(),
        **said,
        **({access.GRANTEE: claims["client_id"]} if client.client_id != claims["client_id"] else {}),
        **({"authorization_details": lesser.written(parts, settings.public_url)} if parts is not None else {}),
        **({"cnf": call.binding.confirmation} if call.binding.confirmation else {}),
    }
    token = ctx.house.keys.sign(new, typ="at+jwt")
    if len(token) > access.LIMIT:  # the data plane would refuse it at every call
        raise ValueError(f"an access token of {len(token)} characters")
    return {
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": call.binding.token_type,
        "expires_in": lifetime,
        "scope": new["scope"],
        "authorization_details": tokens.details_at(left, new["aud"], settings.public_url),
    }


def stands(call: EndpointCall, family: TokenFamily, claims: Claims) -> bool:
    """Whether who acts by an exchanged token still may: for what is told of it (RFC 7662)."""
    ctx = call.ctx
    granted = families.standing(ctx.session, family, ctx.now)
    if not isinstance(granted, GrantedFamily):
        return False
    if claims.get(access.GRANTEE):
        app = call.facts.app(ctx.session, family.client_id)
        return app.active and claims["client_id"] in processors(granted.terms, app)
    guardian = _guardian(call.facts.person(ctx.session, granted.consent.person_id))
    return bool(guardian) and claims["act"]["sub"] == subject(ctx.house.keys, guardian, call.client)
