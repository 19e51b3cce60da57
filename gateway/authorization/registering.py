"""Doors by which apps register and manage themselves (RFC 7591, RFC 7592, OpenID Connect Registration).

What an app says is checked before anything is fetched, and what it has elsewhere is read in a pool, outside of any
transaction (`Later`). Then one transaction uses the invitation up and writes the row.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from gateway.apps import dynamic, elsewhere, members, signing, statements
from gateway.apps.declare import AppDeclaration
from gateway.apps.members import Registrable
from gateway.apps.tables import App
from gateway.authorization import openid, rules
from gateway.authorization import scopes as scoped
from gateway.authorization.protocol import Protocol, note
from gateway.authorization.rules import Refused
from gateway.catalogue import Catalogue
from gateway.errors import DeclarationError, Fault, NotFound, TooMany
from gateway.ground.http import fetching
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh, hashed, same, strict
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.store.together import AtMost, Tries
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.organisations import views
from gateway.settings import Settings

PATH = "/apps"
DEPTH = 12
_NOT_ASCII = re.compile(r"[^\x20-\x7e]|[\"\\]")


@dataclass
class Registering:
    """One registration or change on its way."""

    ctx: Context
    members: Mapping[str, Any]
    offered: Registrable
    client_id: str
    document: Mapping[str, Any] = field(default_factory=dict)
    invite_id: str | None = None
    access: str = ""  # of who changes what is registered; "": registers


def is_on(settings: Settings) -> bool:
    return settings.dynamic_registration != "off"


def register(protocol: Protocol, ctx: Context) -> Response | Later:
    """Register an app: 201 with its `client_id` and all that was accepted, or 400 with what is wrong (RFC 7591 §3)."""
    if not is_on(ctx.house.settings):
        raise NotFound("registration is off")
    try:
        _count(ctx)
        profiles, invite_id = _invited(ctx)
        sent = _members(ctx)
        call = Registering(
            ctx, sent, _offered(ctx, protocol, profiles), f"c-{fresh_bytes(16).hex()}", invite_id=invite_id
        )
        return _checked(call, _create)
    except Refused as refused:
        return _refused(ctx, refused)


def read(ctx: Context) -> Response:
    """Tell an app what is registered of it (RFC 7592 §2.1)."""
    try:
        return answers.json(_told(ctx, _own(ctx, ctx.session), _bearer(ctx)))
    except Refused as refused:
        return _refused(ctx, refused)


def change(protocol: Protocol, ctx: Context) -> Response | Later:
    """Put another registration in the place of an app's own (RFC 7592 §2.2)."""
    try:
        with ctx.house.store.read() as session:
            row = _own(ctx, session)
            profiles = _profiles(ctx.house.settings, dynamic.invite_profile(session, row.invite_id))
        _count(ctx)
        sent = _members(ctx)
        if sent.get("client_id") != row.client_id:
            raise Refused("invalid_client_metadata", "client_id must be the one registered.")
        if not _same_secret(sent.get("client_secret"), row):
            raise Refused("invalid_client_metadata", "client_secret is given here, and not chosen.")
        call = Registering(ctx, sent, _offered(ctx, protocol, profiles), row.client_id, access=_bearer(ctx))
        return _checked(call, _replace)
    except Refused as refused:
        return _refused(ctx, refused)


def delete(ctx: Context) -> Response:
    """Delete an app: what people share with it ends (RFC 7592 §2.3)."""
    try:
        dynamic.delete(ctx.session, ctx.house.log, _own(ctx, ctx.session), ctx.now)
    except Refused as refused:
        return _refused(ctx, refused)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def doors(protocol: Protocol) -> list[Door]:
    one = PATH + "/{client_id}"
    return [
        Door(PATH, partial(register, protocol), ("POST",), "oauth", "none", csrf=False, name="register_app"),
        Door(one, read, ("GET",), "oauth", name="registered_app"),
        Door(one, partial(change, protocol), ("PUT",), "oauth", "none", csrf=False, name="change_app"),
        Door(one, delete, ("DELETE",), "oauth", "write", csrf=False, name="delete_app"),
    ]


# ---- who may


def _count(ctx: Context) -> None:
    """So many from one network and no more: each is stored, and may make us call somebody. Raises TooMany."""
    house = ctx.house
    key = house.keys.mac("tries", "registration", client_network(ctx.request, house.settings))
    limit = AtMost(house.settings.registrations_per_hour, 3600)
    wait = Tries(house.store, house.clock).hit((limit,), key)
    if wait:
        raise TooMany("registrations", retry_after=wait)


def _bearer(ctx: Context) -> str:
    headers = ctx.request.headers.getlist("authorization")
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _challenged() -> Refused:
    said = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    told = "It takes a token, as Authorization: Bearer, which is missing, unknown, used up, or of another app."
    return Refused("invalid_token", told, status=401, headers=said)


def _invited(ctx: Context) -> tuple[tuple[str, ...], str | None]:
    """(profiles that may be registered, id of the initial access token if one was needed)."""
    house = ctx.house
    if house.settings.dynamic_registration == "open":
        return house.settings.dynamic_profiles, None
    with house.store.read() as session:
        found = dynamic.invited(session, _bearer(ctx), ctx.now)
    if found is None:
        raise _challenged()
    return _profiles(house.settings, found.profile), found.id


def _profiles(settings: Settings, of_invite: str) -> tuple[str, ...]:
    """An invitation may name one that others cannot register."""
    return (of_invite,) if of_invite else settings.dynamic_profiles


def _own(ctx: Context, session: Session) -> App:
    """The app at this address, if it is the caller's own. It is managed also while nobody else may register."""
    row = dynamic.find(session, ctx.path["client_id"], _bearer(ctx))
    if row is None:
        raise _challenged()
    return row


def _same_secret(sent: object, row: App) -> bool:
    """RFC 7592 §2.2: who sends one must send the one that was given."""
    return sent is None or (isinstance(sent, str) and same(hashed(sent), row.secret_sha256 or ""))


# ---- what it says


def _members(ctx: Context) -> dict[str, Any]:
    media_type = ctx.request.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        found = strict.loads(ctx.raw_body, depth=DEPTH) if media_type == "application/json" else None
    except strict.Malformed:
        found = None
    if not isinstance(found, dict):
        raise Refused("invalid_client_metadata", "Send one JSON object: application/json.")
    if found.get("software_statement") is None:
        return found
    try:
        trusted = statements.trusted(ctx.house.settings.software_statements_file)
        said = statements.metadata(found["software_statement"], trusted, ctx.house.settings.public_url, ctx.now)
    except statements.InvalidStatement:
        raise Refused("invalid_software_statement", "It is not signed by a trusted issuer, or not valid now.") from None
    except statements.UnapprovedStatement:
        raise Refused("unapproved_software_statement", "This software may not register here.") from None
    return {**found, **said}


def _offered(ctx: Context, protocol: Protocol, profiles: Sequence[str]) -> Registrable:
    house = ctx.house
    with house.store.read() as session:
        scopes = known_scopes(session, house.catalogue)
    grants = tuple(grant.kind.GRANT_TYPE for grant in protocol.grants)
    return Registrable(tuple(profiles), grants, scopes)


def known_scopes(session: Session, catalogue: Catalogue) -> Mapping[str, tuple[str, ...]]:
    """What an app may register to ask for, each with the purposes for which it stands."""
    signing_in = (scope for scope, dataset in openid.SCOPES.items() if dataset in catalogue.datasets)
    plain = scoped.purposes(catalogue, views.directory(session).values())
    return {**dict.fromkeys(signing_in, members.SIGNING_IN), rules.DATA: (), rules.OFFLINE: (), **plain}


def _checked(call: Registering, then: "Writes") -> Response | Later:
    house = call.ctx.house
    try:
        call.document = members.document(call.members, call.client_id, call.offered)
    except DeclarationError as error:
        raise _of(error.faults) from None
    called = elsewhere.addresses(call.document)
    for address in called:
        if fetching.fault(address, house.settings):
            raise Refused("invalid_client_metadata", "An address to read from must be https, without port or fragment.")
    if not called:
        return _finished(call, then)
    return Later("app", fetching.party(called[0]), partial(_finished, call, then))


def _finished(call: Registering, then: "Writes") -> Response:
    """The rest, after what stands elsewhere was read."""
    ctx, house = call.ctx, call.ctx.house
    try:
        found, faults = elsewhere.read(house, call.document)
        if faults:
            raise _of(faults)
        declared = members.declaration(call.document, found.logo, "dynamic")
        with house.store.write() as session:
            answer = then(call, session, declared, found, house.clock())
        signing.make_missing(house, house.clock())
        return answer
    except DeclarationError as error:
        return _refused(ctx, _of(error.faults))
    except Refused as refused:
        return _refused(ctx, refused)


def _create(
    call: Registering, session: Session, declared: AppDeclaration, found: elsewhere.Read, now: datetime
) -> Response:
    if call.invite_id is not None and not dynamic.spend(session, call.invite_id, now):
        raise _challenged()
    access = fresh()
    row, secret = dynamic.register(
        session, call.ctx.house.catalogue, call.ctx.house.settings, declared, access, call.invite_id, now
    )
    if found.jwks is not None:
        elsewhere.keep_keys(row, found.jwks, now)
    return answers.json(_told(call.ctx, row, access, secret, _statement(call)), 201)


def _replace(
    call: Registering, session: Session, declared: AppDeclaration, found: elsewhere.Read, now: datetime
) -> Response:
    row = dynamic.find(session, call.client_id, call.access)
    if row is None:  # deleted meanwhile
        raise _challenged()
    row, secret = dynamic.change(session, call.ctx.house.catalogue, call.ctx.house.settings, row, declared, now)
    if found.jwks is not None:
        elsewhere.keep_keys(row, found.jwks, now)
    return answers.json(_told(call.ctx, row, call.access, secret, _statement(call)))


Writes = Callable[[Registering, Session, AppDeclaration, elsewhere.Read, datetime], Response]


def _statement(call: Registering) -> str | None:
    return call.members.get("software_statement")


def _told(
    ctx: Context, row: App, access: str, secret: str | None = None, statement: str | None = None
) -> dict[str, Any]:
    """The client information response (RFC 7591 §3.2.1). A secret is told once, when it is made."""
    said: dict[str, Any] = {
        "client_id": row.client_id,
        "client_id_issued_at": int(row.registered_at.timestamp()),
        **members.told(row),
        "registration_access_token": access,
        "registration_client_uri": f"{ctx.house.settings.public_url}{PATH}/{row.client_id}",
    }
    if secret is not None:
        said |= {"client_secret": secret, "client_secret_expires_at": 0}
    if statement is not None:
        said["software_statement"] = statement
    return said


def _of(faults: Sequence[Fault]) -> Refused:
    """The first fault as an OAuth error. What is wrong may repeat what was sent, and is not told; what would be right
    is."""
    first = faults[0]
    error = "invalid_redirect_uri" if first.key.startswith("redirect_uris") else "invalid_client_metadata"
    where = re.sub(r"[^A-Za-z0-9_.\[\]#-]", "", first.key)[:60]
    return Refused(error, _NOT_ASCII.sub("'", f"{where}: {first.right or 'is not right'}")[:300])


def _refused(ctx: Context, refused: Refused) -> Response:
    note(ctx, refused)
    return answers.oauth_error(refused.status, refused.error, refused.description, refused.headers)
