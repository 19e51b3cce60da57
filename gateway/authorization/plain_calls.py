"""The two calls that servers make again and again, answered on the event loop: a token for a client itself, and what an
access token is worth.

    1. a form in its usual shape, nothing beside it     3. what is asked for
    2. a client that proves itself by its secret        4. the answer, as its door would make it

Only the plain yes is given here. Whatever is out of the ordinary, and every refusal, is left to the door of the
endpoint with the same request: the door decides, counts wrong tries and records, in a thread and in a transaction. So
nothing here writes, and nothing waits.
"""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.apps.profiles import BY_SECRET
from gateway.apps.registration import Registration
from gateway.authorization import client_tokens, clients, telling
from gateway.authorization.binding import UNBOUND
from gateway.authorization.endpoints import INTROSPECT, TOKEN
from gateway.authorization.rules import FAILURES_A_MINUTE, Refused
from gateway.consent.running import Running
from gateway.errors import GatewayError
from gateway.ground.http.client_certificates import SCOPE
from gateway.ground.http.guard import App, Receive, Scope, Send
from gateway.ground.http.peers import network
from gateway.ground.keys import access, fresh
from gateway.ground.keys.known import KnownTokens
from gateway.ground.keys.strict import is_text
from gateway.ground.ops.lines import RequestLine
from gateway.ground.ops.logs import logger
from gateway.ground.store import Committed
from gateway.ground.web import answers
from gateway.house import House

BODY_LIMIT = 20 * 1024  # an access token has 16 kB at most
HELD = 4096  # tokens known, answers of introspection, and headers by which clients prove themselves
_FORM = b"application/x-www-form-urlencoded"
# With any of these a call is out of the ordinary: bound tokens, pages of other origins, a browser of ours.
_BESIDE = frozenset((b"dpop", b"origin", b"cookie", b"content-encoding", b"transfer-encoding", b"expect"))
_SIGNED = b"jwt"  # in Accept: the answer is to be signed (RFC 9701)
_FORMS = {
    TOKEN.path: frozenset(("grant_type", "scope", "client_id", "client_secret")),
    INTROSPECT.path: frozenset(("token", "token_type_hint", "client_id", "client_secret")),
}
_TYPE = (b"content-type", b"application/json")


@dataclass(slots=True)
class PlainCall:
    """One call in its usual shape, and whose secret was guessed wrongly with it."""

    path: str
    form: Mapping[str, str]
    authorization: tuple[str, ...]
    network: str
    now: datetime
    guessed: str = ""


class PlainCalls:
    """`doors`: what answers everything else. `endpoints`: path → what stands for its door in what is measured."""

    def __init__(self, house: House, doors: App, endpoints: Mapping[str, Hashable]) -> None:
        self._house = house
        self._doors = doors
        self._endpoints = endpoints
        self._rows: Committed | None = None
        self._issuer = house.settings.public_url
        self._tokens: KnownTokens[_Token] = KnownTokens(house.keys, HELD, self._verified)
        self._said: dict[bytes, tuple[Running, bytes]] = {}  # by the token's digest
        self._proved: dict[bytes, Registration] = {}  # whose secret stands in the header of this digest
        self._guessing: dict[str, int] = {}  # wrong guesses that a door has not counted yet
        self._guessed = _Guessed()
        same = {**answers.DATA_HEADERS, "Pragma": "no-cache", **answers.transport(house.settings)}
        self._headers = [_TYPE, *((name.lower().encode(), value.encode()) for name, value in same.items())]

    def start(self) -> None:
        """Raises Unavailable."""
        self._rows = self._house.store.committed()

    def stop(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            rows.close()

    def takes(self, path: str) -> bool:
        return self._rows is not None and path in _FORMS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rows = self._rows
        if rows is None or not _is_usual(scope):
            await self._doors(scope, receive, send)
            return
        line = RequestLine(scope)
        message = await receive()
        call = self._call(scope, message)
        body = self._answer(call, rows) if call is not None else None
        if body is not None:
            scope["endpoint"] = self._endpoints.get(scope["path"])
            length = (b"content-length", b"%d" % len(body))
            await send({"type": "http.response.start", "status": 200, "headers": [*self._headers, length, line.header]})
            await send({"type": "http.response.body", "body": body})
            line.write(200)
        else:
            await self._left(call, scope, message, receive, send)

    async def _left(self, call: PlainCall | None, scope: Scope, message: Any, receive: Receive, send: Send) -> None:
        """To the door, with what has been read of the call. While it counts a wrong guess, nobody else's is answered
        here: of many that come at once, no more than a few are to learn whether they were right (clients.py)."""
        again = _Again(message, receive)
        if call is None or not call.guessed:
            await self._doors(scope, again, send)
            return
        key = call.guessed
        self._guessed.count(key, int(call.now.timestamp()) // 60)
        self._guessing[key] = self._guessing.get(key, 0) + 1
        try:
            await self._doors(scope, again, send)
        finally:
            self._guessing[key] -= 1
            if not self._guessing[key]:
                del self._guessing[key]

    # ---- 1. the form

    def _call(self, scope: Scope, message: Any) -> PlainCall | None:
        body = message.get("body", b"")
        if message["type"] != "http.request" or message.get("more_body") or not body.isascii():
            return None
        try:
            pairs = _pairs(body.decode("ascii"))
        except ValueError:
            return None
        form = dict(pairs)
        if len(form) != len(pairs) or not form.keys() <= _FORMS[scope["path"]] or not all(form.values()):
            return None
        if not is_text("".join(form.values())):
            return None
        shown = tuple([value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"])
        peer = network(scope["client"][0]) if scope.get("client") else ""
        return PlainCall(scope["path"], form, shown, peer, self._house.clock())

    # ---- 2. the client

    def _client(self, call: PlainCall, rows: Committed) -> Registration | None:
        """The client that has proved itself, as `clients.authenticate` finds it."""
        client = self._proved_before(call, rows) or self._proved_now(call, rows)
        if client is None or not client.active or call.form.get("client_id", client.client_id) != client.client_id:
            return None
        key = clients.guesses(client, call.network)
        minute = int(call.now.timestamp()) // 60
        used_up = clients.used_up(rows.one, key, minute) or self._guessed.used_up(key, minute)
        return None if used_up or key in self._guessing else client

    def _proved_before(self, call: PlainCall, rows: Committed) -> Registration | None:
        """By the same header, when the client was registered as it is now."""
        known = self._proved.get(_digest(call)) if _is_in_header(call) else None
        return known if known is not None and clients.registered(rows.one, known.client_id) is known else None

    def _proved_now(self, call: PlainCall, rows: Committed) -> Registration | None:
        shown = clients.credentials(clients.Presented(call.form, call.authorization, call.network))
        client = clients.registered(rows.one, shown.client_id) if shown.method in BY_SECRET else None
        if client is None:
            return None
        if not clients.is_its_secret(client, shown):
            call.guessed = clients.guesses(client, call.network)
            return None
        if _is_in_header(call):
            if len(self._proved) >= HELD:
                self._proved.clear()
            self._proved[_digest(call)] = client
        return client

    # ---- 3. and 4. what is asked for, and the answer

    def _answer(self, call: PlainCall, rows: Committed) -> bytes | None:
        try:
            self._house.log.require_whole()
            rows.require_whole()
            client = self._client(call, rows)
            if client is None:
                return None
            return self._token(call, client) if call.path == TOKEN.path else self._told(call, client, rows)
        except (Refused, GatewayError):
            return None
        except Exception as error:  # a fault of the database for one: the door says it, and to whom it may concern
            logger().warning("a plain call was left to its door", fault=type(error).__name__)
            return None

    def _token(self, call: PlainCall, client: Registration) -> bytes | None:
        bound = client.dpop_bound or client.certificate_bound
        if call.form.get("grant_type") != client_tokens.GRANT_TYPE or bound:
            return None
        if client_tokens.GRANT_TYPE not in client.grant_types:
            return None
        scope = client_tokens.scope(call.form.get("scope", ""))
        keys, settings = self._house.keys, self._house.settings
        _ = keys.signer  # raises Unavailable where there is none: it would be waited for
        return _json(client_tokens.response(keys, settings, client.client_id, scope, UNBOUND, fresh(), call.now))

    def _told(self, call: PlainCall, client: Registration, rows: Committed) -> bytes | None:
        text = call.form.get("token", "")
        token = self._tokens.read(text.encode(), call.now.timestamp()) if "." in text else None
        if token is None or client.introspection_alg:
            return None
        if token.claims["client_id"] != client.client_id or "act" in token.claims:
            return None
        if token.own:
            said = client_tokens.introspect(rows.one, token.claims, call.now)
            return _json(said) if said is not None else None
        standing = telling.standing(rows.one, token.claims, call.now)
        return self._of_person(standing, token) if standing is not None else None

    def _of_person(self, standing: Running, token: "_Token") -> bytes:
        kept = self._said.get(token.digest)
        if kept is not None and kept[0] == standing:
            return kept[1]
        body = _json(telling.told(standing, token.claims, self._issuer))
        if len(self._said) >= HELD:
            self._said.clear()
        self._said[token.digest] = standing, body
        return body

    def _verified(self, text: str, digest: bytes, now: float) -> "tuple[_Token, int]":
        claims, own = access.read_either(text, self._house.keys, self._issuer, now, waits=False)
        return _Token(claims, own, digest), claims["exp"]


class _Guessed:
    """Wrong guesses of this minute that came here. The doors count them, too, for all processes; but a door that cannot
    write cannot count."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = {}

    def count(self, key: str, minute: int) -> None:
        counts = self._in(minute)
        if key in counts or len(counts) < HELD:
            counts[key] = counts.get(key, 0) + 1

    def used_up(self, key: str, minute: int) -> bool:
        counts = self._in(minute)
        return counts.get(key, 0) >= FAILURES_A_MINUTE or len(counts) >= HELD

    def _in(self, minute: int) -> dict[str, int]:
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        return self._counts


@dataclass(frozen=True, slots=True)
class _Token:
    claims: Mapping[str, Any]
    own: bool  # of a client itself
    digest: bytes


class _Again:
    """What has been received, once more, and then what comes."""

    def __init__(self, message: Any, receive: Receive) -> None:
        self._message: Any = message
        self._receive = receive

    async def __call__(self) -> Any:
        message, self._message = self._message, None
        return message if message is not None else await self._receive()


def _is_usual(scope: Scope) -> bool:
    """A short form, by POST, with nothing beside it."""
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    fields = dict(headers)
    length = fields.get(b"content-length", b"")
    return (
        scope["method"] == "POST"
        and not scope["query_string"]
        and SCOPE not in scope
        and fields.get(b"content-type") == _FORM
        and 0 < len(length) < 6
        and int(length) <= BODY_LIMIT
        and _BESIDE.isdisjoint(fields)
        and not any(name == b"accept" and _SIGNED in value.lower() for name, value in headers)
    )


def _is_in_header(call: PlainCall) -> bool:
    return len(call.authorization) == 1 and "client_secret" not in call.form


def _digest(call: PlainCall) -> bytes:
    return hashlib.sha256(call.authorization[0].encode()).digest()


def _pairs(text: str) -> list[tuple[str, str]]:
    """Raises ValueError."""
    if "%" in text or "+" in text:
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")
    found = []
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError("no pair")
        found.append((name, value))
    return found


def _json(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value)
