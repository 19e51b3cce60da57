"""/authorize: the only dispatcher of the flow. Every page comes back here, and here alone the next one is decided.

ASKING and OPENING are its steps: a link that holds a request is checked and kept like a pushed one; a link to one that
is kept opens it, and leads the person on (dispatch.py): to sign in, to link, to agree, and back to the app.

Whatever is wrong before the app and its address are known ends on a page of ours.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response

from gateway.authorization import (
    checks,
    clients,
    going_on,
    parameters,
    reading,
    request_objects,
    requests,
    rules,
    steps,
)
from gateway.authorization.calls import EndpointCall
from gateway.authorization.going_on import Screen
from gateway.authorization.protocol import Protocol, note
from gateway.authorization.returning import Returns, is_silent, on_to_app, problem
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.facts import Facts
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.languages import choose_language


@dataclass
class Visit(EndpointCall):
    """A call of /authorize: by a person's browser."""

    screen: Screen | None = None
    returns: Returns | None = None  # once it is known where errors are answered


VisitStep = Callable[[Visit], Response | None]


def doors(protocol: Protocol, facts: Facts, screen: Screen) -> list[Door]:
    handler = partial(authorize, protocol, facts, screen)
    return [
        Door("/authorize", handler, ("GET",), opens="write", name="authorize"),
        # an app may send its request as a form of its own; nothing is decided by it
        Door("/authorize", handler, ("POST",), opens="write", csrf=False, name="authorize_form"),
        Door(
            "/authorize/continue",
            partial(going_on.go_on, facts),
            ("POST",),
            opens="write",
            person=True,
            gives=True,
            outlived=going_on.ask_again,
            name="go_on",
        ),
        Door(
            "/authorize/later",
            partial(going_on.put_off, facts),
            ("POST",),
            opens="write",
            person=True,
            outlived=going_on.ask_again,
            name="put_off",
        ),
    ]


def authorize(protocol: Protocol, facts: Facts, screen: Screen, ctx: Context) -> Response:
    """Lead a person through an app's request, one step after the other: sign in, link, agree, back to the app (RFC 6749
    §3.1).
    """
    visit = Visit(ctx, parameters.AUTHORIZE, protocol, facts, screen=screen)
    try:
        given = ctx.form_lists if ctx.request.method == "POST" else ctx.query_lists
        visit.sent = parameters.given(ctx, parameters.AUTHORIZE, given)
        for step in OPENING if "request_uri" in visit.sent else ASKING:
            answer = step(visit)
            if answer is not None:
                return answer
    except Refused as refused:
        note(ctx, refused)
        return _refused(visit, refused)
    raise AssertionError("the last step answers")


def _refused(visit: Visit, refused: Refused) -> Response:
    """To the app, where its address is known to be right; else to the person, on a page."""
    if visit.returns is None:
        status = 400 if refused.status == 401 else refused.status  # no way to authenticate that a person has
        return problem(visit.ctx, refused.members.get("page", "malformed"), status)
    to, said = visit.returns, {"error": refused.error, "error_description": refused.description or None}
    return on_to_app(visit.ctx, visit.app, to, said, plain=to.silent)


# ---- the steps


def load_client(visit: Visit) -> None:
    """The app that the link names."""
    app = clients.find(visit.ctx.session, visit.sent.get("client_id", ""))
    if app is None:
        raise Refused("invalid_client", page="unknown_app")
    if app.status != "active":
        raise Refused("unauthorized_client", status=403, page="suspended")
    visit.app = app


def load_pushed_request(visit: Visit) -> None:
    """The request that was pushed, or kept from the link: nobody else goes on with it at the same time."""
    if "request" in visit.sent:
        raise Refused("invalid_request", "request and request_uri together.")
    ctx = visit.ctx
    visit.row = requests.held(ctx.session, ctx.house.log, visit.sent["request_uri"], visit.app, ctx.now)
    if visit.row is None and not visit.sent["request_uri"].startswith(rules.REQUEST_URI):
        raise _not_supported(visit, "request_uri_not_supported", "Push the request: no request_uri is fetched.", "over")
    if visit.row is None:
        raise Refused("invalid_request_uri", page="over")


def come_by_get(visit: Visit) -> Response | None:
    """A form of the app's own that names a pushed request leads to the page of that request."""
    if visit.ctx.request.method == "POST":
        return visit.ctx.go(_resume(visit))
    return None


def open_request(visit: Visit) -> None:
    """The time to answer begins; the pages speak the language that the person or the app prefers."""
    ctx, row = visit.ctx, _row(visit)
    if not is_silent(row.prompt):
        ctx.house.log.require_whole()
    requests.open_(row, ctx.now, ctx.house.settings.ask_seconds)
    preferred = ctx.caller.language if ctx.caller else None
    ctx.language = choose_language(ctx.request, ctx.house.settings, preferred, row.ui_locales)


def answer_silently(visit: Visit) -> Response | None:
    """prompt=none: no page, ever (OpenID Connect Core §3.1.2.1)."""
    row = _row(visit)
    return going_on.silently(visit.facts, visit.ctx, visit.app, row) if is_silent(row.prompt) else None


def show_next(visit: Visit) -> Response:
    """Sign in, link, agree, or back to the app: dispatch.py decides."""
    assert visit.screen is not None
    return going_on.interactive(visit.facts, visit.screen, visit.ctx, visit.app, _row(visit), _resume(visit))


def check_no_unsigned_object(visit: Visit) -> None:
    """A request object is signed: of one that nobody has signed the app learns where the parameters beside it say."""
    said = request_objects.unsigned(visit.sent.get("request", ""))
    if said is not None:
        visit.sent = {**said, **visit.sent}
        raise _not_supported(visit, "request_not_supported", "Sign the request object.", "malformed")


def _not_supported(visit: Visit, error: str, description: str, page: str) -> Refused:
    """This error (OpenID Connect Core §3.1.2.6): to the app where the link names an address of it, else on a page."""
    with suppress(Refused):
        load_return_address(visit)
    return Refused(error, description, page=page)


def load_return_address(visit: Visit) -> None:
    """Where the app wants its answer: from here on it is told of errors there (RFC 6749 §4.1.2.1)."""
    asking = checks.Asking(visit.ctx.session, visit.ctx.house, visit.app, visit.client, visit.sent)
    try:
        to = checks.redirect_uri(visit.sent.get("redirect_uri", ""), asking)
        state = checks.state(visit.sent.get("state", ""), asking)
    except Refused as refused:
        raise Refused(refused.error, refused.description, page="unknown_address") from None
    signed = visit.client.response_alg or visit.sent.get("response_mode") in rules.SIGNED_MODES
    visit.returns = Returns(to, state, "jwt" if signed else "query", is_silent(visit.sent.get("prompt", "")))


def check_may_be_plain(visit: Visit) -> None:
    """A client that registered to push its requests must (RFC 9126 §6)."""
    if visit.client.pushes:
        raise Refused("invalid_request", "This client pushes its requests (PAR).")


def count_request(visit: Visit) -> None:
    """Every request is stored, and anyone can make such a link: so many in a minute and no more."""
    ctx = visit.ctx
    network = client_network(ctx.request, ctx.house.settings)
    clients.count_request(ctx.session, visit.app.client_id, network, ctx.now)


def keep_request(visit: Visit) -> Response:
    """Kept like a pushed one, and opened by its request_uri."""
    assert visit.checked is not None
    ctx = visit.ctx
    request_uri = requests.push(ctx.session, visit.checked, fresh(), ctx.now, ctx.house.settings.request_seconds)
    return ctx.go(requests.resume_path(visit.app.client_id, request_uri))


# A link with a request_uri, and one with the request itself.
OPENING: tuple[VisitStep, ...] = (
    load_client, load_pushed_request, come_by_get, open_request, answer_silently, show_next,
)  # fmt: skip
ASKING: tuple[VisitStep, ...] = (
    reading.read_elsewhere, load_client, check_no_unsigned_object, steps.load_request_object, load_return_address,
    steps.check_signed, check_may_be_plain, count_request, steps.check_request, keep_request,
)  # fmt: skip


def _row(visit: Visit) -> AuthorizationRequest:
    assert visit.row is not None
    return visit.row


def _resume(visit: Visit) -> str:
    return requests.resume_path(visit.app.client_id, visit.sent["request_uri"])
