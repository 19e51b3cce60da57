"""The doors of receivers (SSF §7 and §8.1, RFC 8936). A receiver is an app; it calls with a token of its own.

A stream of another app and one that never was get the same answer.
"""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.authorization import access_tokens
from gateway.authorization.protocol import refusal
from gateway.authorization.rules import Refused
from gateway.errors import TooMany
from gateway.ground.keys import fresh
from gateway.ground.ops.logs import logger
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.signals import asked, rules, sets, streams, waiting
from gateway.signals.streams import PATH, POLL_PATH, WantedStream
from gateway.signals.tables import SignalStream

CONFIGURATION = "/.well-known/ssf-configuration"
STATUS, ADD, REMOVE, VERIFY = "/ssf/status", "/ssf/subjects/add", "/ssf/subjects/remove", "/ssf/verify"
PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
_JSON = Mapping[str, Any]
_Work = Callable[[Context, App], Response]


def configuration(ctx: Context) -> Response:
    """What this transmitter of events can do, and where (SSF §7)."""
    at = ctx.house.settings.public_url
    said = {
        "spec_version": "1_0",
        "issuer": at,
        "jwks_uri": f"{at}/jwks.json",
        "delivery_methods_supported": list(rules.METHODS),
        "configuration_endpoint": at + PATH,
        "status_endpoint": at + STATUS,
        "add_subject_endpoint": at + ADD,
        "remove_subject_endpoint": at + REMOVE,
        "verification_endpoint": at + VERIFY,
        "critical_subject_members": ["user", "session"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }
    return answers.json(said, headers=PUBLIC)


# ---- the stream


def create(ctx: Context, app: App) -> Response:
    """Make the app's stream: 201 with all of it; 409 where there is one already (SSF §8.1.1.1)."""
    given, house = asked.body(ctx), ctx.house
    wanted = asked.wanted(given, WantedStream(), house.settings)
    stream = streams.made(house.keys, app.client_id, wanted, fresh(16), ctx.now)
    told = streams.told(stream, house.settings.public_url)
    asked.check_supplied(given, told)
    if not streams.keep(ctx.session, stream):
        raise Refused("invalid_request", "There is a stream already: one for each app.", status=409)
    return answers.json(told, 201)


def read(ctx: Context, app: App) -> Response:
    """The app's stream by its id, or a list of all, which are one or none (SSF §8.1.1.2)."""
    at = ctx.house.settings.public_url
    if "stream_id" in ctx.query:
        return answers.json(streams.told(_own(ctx, app, ctx.query), at))
    found = streams.of_app(ctx.session, app.client_id)
    return answers.json([streams.told(found, at)] if found else [])


def change(ctx: Context, app: App) -> Response:
    """Change what is named of the stream (SSF §8.1.1.3)."""
    return _changed(ctx, app, whole=False)


def replace(ctx: Context, app: App) -> Response:
    """Change all that the receiver says of the stream: what is not named is taken out (SSF §8.1.1.4)."""
    return _changed(ctx, app, whole=True)


def _changed(ctx: Context, app: App, *, whole: bool) -> Response:
    given, house = asked.body(ctx), ctx.house
    stream = _own(ctx, app, given)
    asked.check_supplied(given, streams.told(stream, house.settings.public_url))
    before = WantedStream() if whole else streams.wanted(house.keys, stream)
    streams.change(ctx.session, house.keys, stream, asked.wanted(given, before, house.settings), ctx.now)
    return answers.json(streams.told(stream, house.settings.public_url))


def delete(ctx: Context, app: App) -> Response:
    """Delete the stream, with what waits in it (SSF §8.1.1.5)."""
    streams.delete(ctx.session, _own(ctx, app, ctx.query))
    return _empty(204)


def status(ctx: Context, app: App) -> Response:
    """Whether events go out (SSF §8.1.2.1)."""
    return answers.json(streams.status(_own(ctx, app, ctx.query)))


def set_status(ctx: Context, app: App) -> Response:
    """Let events go out, wait, or be dropped (SSF §8.1.2.2)."""
    given = asked.body(ctx)
    stream = _own(ctx, app, given)
    streams.set_status(ctx.session, stream, *asked.status(given), ctx.now)
    return answers.json(streams.status(stream))


def verify(ctx: Context, app: App) -> Response:
    """Send an event that shows that the stream works (SSF §8.1.4)."""
    given = asked.body(ctx)
    stream = _own(ctx, app, given)
    if stream.status == rules.Status.DISABLED:
        raise Refused("invalid_request", "The stream is disabled.")
    state = asked.text(given, "state", rules.STATE) if given.get("state") is not None else None
    wait = streams.verify(ctx.session, stream, state, ctx.now)
    if wait:
        raise TooMany("verifications", retry_after=wait)
    return _empty(204)


# ---- people


def add(ctx: Context, app: App) -> Response:
    """Hear of somebody again who was removed. The answer does not tell who is known here (SSF §8.1.3)."""
    stream, sub = _of_person(ctx, app)
    if sub:
        streams.hear_again(ctx.session, stream, sub)
    return _empty(200)


def remove(ctx: Context, app: App) -> Response:
    """Hear of somebody no more. The answer does not tell who is known here."""
    stream, sub = _of_person(ctx, app)
    if sub and not streams.silence(ctx.session, stream, sub):
        raise TooMany("silences", say="Too many people were removed from this stream.", retry_after=3600)
    return _empty(204)


def _of_person(ctx: Context, app: App) -> tuple[SignalStream, str]:
    given = asked.body(ctx)
    return _own(ctx, app, given), asked.subject(given, ctx.house.settings.public_url)


# ---- polling


def poll(ctx: Context, app: App) -> Response:
    """Give the events that wait, until the receiver says that it has them (RFC 8936). Answered at once."""
    most, ack, refused = asked.poll(asked.body(ctx))
    stream = _own(ctx, app, ctx.path)
    if stream.method != rules.POLL:
        raise _unknown()
    for err in refused.values():
        why = err if err in rules.ERRORS else "other"
        logger().warning("signal", client=app.client_id, outcome="refused", why=why)
    house, client = ctx.house, registration(app)
    waiting.done(ctx.session, stream.id, [*ack, *refused])
    found, more = waiting.next_few(ctx.session, house.keys, client, stream, most) if most else ([], False)
    made = {one.jti: sets.signed(house.keys, house.settings.public_url, client, stream, one) for one in found}
    return answers.json({"sets": made, **({"moreAvailable": True} if more else {})})


# ---- parts


def _own(ctx: Context, app: App, given: _JSON) -> SignalStream:
    """The app's own stream that is named. Raises Refused."""
    named = given.get("stream_id")
    if not isinstance(named, str) or not named:
        raise Refused("invalid_request", "stream_id is missing.")
    found = streams.find(ctx.session, app.client_id, named)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Refused:
    return Refused("not_found", "There is no such stream of this app.", status=404)


def _empty(status: int) -> Response:
    return Response(status_code=status, headers={"Cache-Control": "no-store"})


_READ, _MANAGE = (rules.READ, rules.MANAGE), (rules.MANAGE,)
# method, path, name, the scopes of which one is needed, what is done
_TABLE: tuple[tuple[str, str, str, tuple[str, ...], _Work], ...] = (
    ("POST", PATH, "signal_stream_create", _MANAGE, create),
    ("GET", PATH, "signal_stream", _READ, read),
    ("PATCH", PATH, "signal_stream_change", _MANAGE, change),
    ("PUT", PATH, "signal_stream_replace", _MANAGE, replace),
    ("DELETE", PATH, "signal_stream_delete", _MANAGE, delete),
    ("GET", STATUS, "signal_status", _READ, status),
    ("POST", STATUS, "signal_status_set", _MANAGE, set_status),
    ("POST", ADD, "signal_subject_add", _MANAGE, add),
    ("POST", REMOVE, "signal_subject_remove", _MANAGE, remove),
    ("POST", VERIFY, "signal_verify", _MANAGE, verify),
    ("POST", POLL_PATH, "signal_poll", _READ, poll),
)


def _door(method: str, path: str, name: str, scopes: tuple[str, ...], work: _Work) -> Door:
    """What the app is answered, if its token has one of these scopes."""

    def door(ctx: Context) -> Response:
        try:
            app, claims = access_tokens.own(ctx)
            if not set(scopes) & set(claims["scope"].split()):
                raise access_tokens.insufficient(ctx, scopes[0])
            return work(ctx, app)
        except Refused as refused:
            return refusal(ctx, refused)

    door.__doc__ = work.__doc__
    # also those that only read: a proof of the token's key is written down as used
    return Door(path, door, (method,), "oauth", "write", csrf=False, name=name)


DOORS = [
    Door(CONFIGURATION, configuration, ("GET",), "api", "none", name="ssf_configuration"),
    *(_door(*row) for row in _TABLE),
]
