"""What of an app stands elsewhere is read before its call is answered: the document that is its client_id, its keys.

The call waits for it, because clients do not try again: the step raises `First`, so that nothing is called in the
transaction or in a thread of the doors, and the endpoint's steps are taken anew afterwards. Whose keys were read before
and fit does not wait.
"""

from functools import partial

from gateway.apps import documents, elsewhere
from gateway.apps.members import Registrable
from gateway.apps.profiles import PROFILES
from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.authorization import assertions, clients, registering, request_objects, rules
from gateway.authorization.calls import EndpointCall
from gateway.authorization.rules import Refused
from gateway.ground.http import fetching
from gateway.ground.http.peers import client_network
from gateway.ground.keys import jose
from gateway.ground.web.doors import First

DUTY = "app"


def read_elsewhere(call: EndpointCall) -> None:
    """What the app keeps at addresses of its own and is needed for this call: its document, its keys."""
    sent = call.sent
    signed = [sent[name] for name in ("client_assertion", "request") if name in sent]
    client_id = sent.get("client_id") or assertions.subject(sent.get("client_assertion", "")) or ""
    if documents.is_one(client_id):
        _read_document(call, client_id)
    if signed:
        row = clients.find(call.ctx.session, client_id)
        if row is not None and row.status == "active":
            _read_keys(call, row, signed)


def _read_document(call: EndpointCall, client_id: str) -> None:
    ctx, settings = call.ctx, call.ctx.house.settings
    if not settings.client_id_documents:
        raise Refused("invalid_client", status=401, page="unknown_app")
    row = clients.find(ctx.session, client_id)
    if "document" not in ctx.done and documents.wanted(row, ctx.now):
        offered = Registrable(
            profiles=settings.dynamic_profiles,
            grants=tuple(grant.kind.GRANT_TYPE for grant in call.protocol.grants),
            scopes=registering.known_scopes(ctx.session, ctx.house.catalogue),
            secrets=False,
        )
        network = client_network(ctx.request, settings)
        work = partial(documents.read, ctx.house, client_id, network, offered, ctx.now)
        raise First("document", DUTY, fetching.party(client_id), work)
    if not documents.holds(row, ctx.now):
        raise Refused("invalid_client", "The document at client_id is not right.", status=401, page="document")


def _read_keys(call: EndpointCall, row: App, signed: list[str]) -> None:
    ctx, client = call.ctx, registration(row)
    if "keys" in ctx.done or not client.jwks_uri:
        return
    fits = all(_fits(text, client.jwks["keys"]) for text in signed)
    if elsewhere.keys_wanted(row, fits, ctx.now):
        work = partial(elsewhere.read_keys, ctx.house, row.client_id, ctx.now)
        raise First("keys", DUTY, fetching.party(client.jwks_uri), work)


_ANY = jose.TokenKind(
    types=("jwt", "client-authentication+jwt", request_objects.TYPE),
    algorithms=tuple(dict.fromkeys(one for profile in PROFILES.values() for one in profile.signs)),
    untyped=True,
)


def _fits(text: str, keys: list[object]) -> bool:
    """Whether it is signed by one of these keys; what no key can fit wants no other keys either."""
    try:
        return jose.verified(jose.read(text, rules.OBJECT_LIMIT, _ANY), keys)
    except jose.Malformed:
        return True
