"""How the gateway proves itself on a call, by the kind that the declaration names. One table; `fields` asks it.

A token of the gateway's own is kept in memory until shortly before its end, one for an organisation, or one for each
link where it is exchanged for the assertion about the link's person (RFC 8693). A call that is answered 401 has it
forgotten, and is made once more with another.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from gateway.ground.http.connector import ConnectorError, Headers
from gateway.ground.keys import KeyRing, fresh, hashed
from gateway.ground.lasting import Key, Lasting
from gateway.house import House
from gateway.organisations import assertion, declare, signatures, token_endpoint
from gateway.organisations.connections import ClientEnds, DeclaredConnection
from gateway.organisations.links import LinkView
from gateway.organisations.token_endpoint import GrantRefused, TokenClient
from gateway.organisations.views import OrganisationView, target

EARLY_SECONDS = 30  # before its end a token is not used any more
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the gateway needs to prove itself at one organisation, read with one state of its declaration."""

    organisation: OrganisationView
    secrets: Mapping[str, str] = field(repr=False)
    mark: str = field(repr=False)  # changes with the secrets

    @property
    def connection(self) -> DeclaredConnection:
        return self.organisation.connection

    @property
    def secret(self) -> str:
        return self.secrets.get(self.connection.kind, "")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call as it will be sent, but for its proof. `path`: with its query; `fields`: those that name the customer."""

    method: str
    path: str = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    fields: Headers = field(default_factory=list, repr=False)

    @property
    def described(self) -> Headers:
        """Its own fields: whom it is about, and the type of its body."""
        return [*self.fields, (b"content-type", self.content_type.encode())] if self.body else self.fields


def of(session: Session, keys: KeyRing, organisation: OrganisationView) -> Proof | None:
    """None: the link itself says how calls are made, by its token or by the assertion about its person."""
    if not organisation.connection.declared:
        return None
    secrets = declare.secrets(session, keys, organisation.id)
    return Proof(organisation, secrets, hashed(repr(sorted(secrets.items()))))


def fields(house: House, proof: Proof, link: LinkView | None, outgoing: Outgoing, token: str, now: datetime) -> Headers:
    """The header fields that prove the gateway. `token`: as `token` or the cache has it; "": the kind has none."""
    proving = _Proving(proof, link, outgoing, token, now, house.keys, house.settings.public_url)
    return _FIELDS[proof.connection.kind](proving)


# ---- the kinds


@dataclass(frozen=True, slots=True)
class _Proving:
    """One call, and what a kind may need to prove it."""

    proof: Proof
    link: LinkView | None
    outgoing: Outgoing
    token: str = field(repr=False)
    now: datetime
    keys: KeyRing = field(repr=False)
    issuer: str


def _api_key(call: _Proving) -> Headers:
    return [(call.proof.connection.api_key_header.encode(), call.proof.secret.encode())]


def _basic(call: _Proving) -> Headers:
    pair = f"{call.proof.connection.basic_user}:{call.proof.secret}"  # RFC 7617
    return [(b"authorization", b"Basic " + base64.b64encode(pair.encode()))]


def _bearer(call: _Proving) -> Headers:
    return [(b"authorization", f"Bearer {call.token}".encode())]


def _asserted(call: _Proving) -> Headers:
    audience = call.proof.organisation.base_url
    return [assertion.header(call.keys, call.issuer, audience, _subject(call.link), call.now, fresh(16))]


def _signed(call: _Proving) -> Headers:
    base_url, whole = call.proof.organisation.base_url, call.proof.connection.whole_address
    sent = call.outgoing
    return signatures.signed(
        call.keys, base_url, sent.method, sent.path, sent.described, sent.body, call.now, fresh(16), whole_address=whole
    )


_FIELDS: Mapping[str, Callable[[_Proving], Headers]] = {
    "api_key": _api_key,
    "basic": _basic,
    "client_credentials": _bearer,
    "token_exchange": _bearer,
    "assertion": _asserted,
    "signed": _signed,
}


def _subject(link: LinkView | None) -> str:
    if link is None:
        raise ConnectorError("not_linked", "no link to speak of")
    return link.subject


# ---- the gateway's own tokens


def forgotten(lasting: Lasting, proof: Proof, token: str, link: LinkView | None) -> bool:
    """Forget a token that was refused. False: the kind has none, so there is no other to try."""
    key = token_key(proof, link)
    if key is not None:
        lasting.drop(key, token)
    return key is not None


def token_key(proof: Proof, link: LinkView | None) -> Key | None:
    """Under which name the token for such a call is kept; None: the kind has none. Another declaration or secret gives
    another name, so a token goes nowhere but where it was asked for."""
    kind = proof.connection.kind
    if proof.connection.client is None:
        return None
    # she may be linked anew under the same subject, as another customer: what was exchanged before is of the one before
    whose = f"{link.id} {link.whose or link.generation}" if kind == "token_exchange" and link is not None else ""
    return proof.organisation.id, proof.organisation.declaration_sha256, proof.mark, kind, whose


def token(house: House, proof: Proof, link: LinkView | None, now: datetime) -> str:
    """The token for a call, new if need be; "" if the kind has none. In a worker thread. Raises ConnectorError."""
    key = token_key(proof, link)
    return "" if key is None else house.lasting.get(key, now.timestamp()) or obtained(house, proof, link, now)


def obtained(house: House, proof: Proof, link: LinkView | None, now: datetime) -> str:
    """A new token, kept from now on. In a worker thread, outside any transaction. Raises ConnectorError."""
    key, ends = token_key(proof, link), proof.connection.client
    assert key is not None and ends is not None
    where, path = token_endpoint.at(target(proof.organisation), ends.token)
    client = TokenClient(where, path, ends.client_id, ends.auth, proof.secret, whose="" if link is None else link.id)
    form = _exchange(house, ends, client, link, now) if key[3] == "token_exchange" else _own(ends)
    try:
        answer = token_endpoint.granted(*token_endpoint.ask(house, client, form, now, fresh(16)))
    except GrantRefused:
        raise ConnectorError("organisation_refused", "token endpoint: invalid_grant") from None
    if key[3] == "token_exchange" and answer.get("issued_token_type") not in (ACCESS_TOKEN, JWT):  # RFC 8693 §2.2.1
        raise ConnectorError("organisation_answer_invalid", "token exchange: issued token of another type")
    found, seconds = token_endpoint.token(answer.get("access_token")), token_endpoint.seconds(answer)
    house.lasting.put(key, found, now.timestamp() + max(seconds - EARLY_SECONDS, seconds / 2))
    return found


def _own(ends: ClientEnds) -> dict[str, str]:
    """RFC 6749 §4.4.2."""
    return {"grant_type": "client_credentials", **_wanted(ends)}


def _exchange(
    house: House, ends: ClientEnds, client: TokenClient, link: LinkView | None, now: datetime
) -> dict[str, str]:
    """RFC 8693 §2.1. The assertion is for the token endpoint and nobody else."""
    about = assertion.sign(house.keys, house.settings.public_url, client.address, _subject(link), now, fresh(16))
    return {
        "grant_type": EXCHANGE,
        "subject_token": about,
        "subject_token_type": JWT,
        "requested_token_type": ACCESS_TOKEN,
        **_wanted(ends),
    }


def _wanted(ends: ClientEnds) -> dict[str, str]:
    named = {"scope": ends.scope, "audience": ends.audience, "resource": ends.resource}
    return {name: value for name, value in named.items() if value}
