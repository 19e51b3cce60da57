"""The person's doors for linking an organisation: by its own sign-in, or by a customer number and a code."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

from sqlmodel import Session
from starlette.responses import Response

from gateway.errors import BadRequest, NotFound
from gateway.ground.http.connector import ConnectorError
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Later
from gateway.ground.web.marks import N_
from gateway.organisations import (
    calls,
    file_codes,
    file_rules,
    here,
    link_attempts,
    linking,
    linking_by_number,
    linking_by_sign_in,
)
from gateway.organisations.link_attempts import Attempt, Linked, NotLinked
from gateway.organisations.linking_by_sign_in import Back
from gateway.organisations.throttle import once_more, once_more_for
from gateway.organisations.views import OrganisationView

# kind → how numbers are spelled there; others: linking_by_number.NUMBER
_NUMBERS = {file_rules.KIND: file_codes.NUMBER}
_NO_NUMBER = N_("Write the number as it stands on your letters, 3 to 40 characters.")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An app's request that she came from: it goes on when her account here is linked."""

    app: str
    purpose: str
    data: tuple[str, ...]  # what it asks for here
    consent: str  # the request itself, which she may refuse without linking anything


# (session, where she goes next, person, organisation, language); None: she came by herself
Waits = Callable[[Session, str, str, str, str], Waiting | None]


def explain(waits: Waits, ctx: Context) -> Response:
    """The page that explains what linking with this organisation does, before she begins."""
    view, link = here.found(ctx)
    if link:
        return ctx.go(here.onward(ctx))
    return _link_page(waits, ctx, view)


def start(waits: Waits, ctx: Context) -> Response | Later:
    """Begin to link: on to the page where she signs in, at the organisation (OAuth) or at whoever does that for it, or
    to the code it sends to its customer. 429 after too many tries.
    """
    view, link = here.found(ctx)
    if link:
        return ctx.go(here.onward(ctx))
    if not view.active:
        return here.failed(ctx, view, "suspended", here.onward(ctx))
    number = ctx.form.get("customer_number", "").strip()
    if view.match == "number" and not _NUMBERS.get(view.kind, linking_by_number.NUMBER).fullmatch(number):
        return _link_page(waits, ctx, view, _NO_NUMBER, number)
    once_more(ctx.house.store, "link", ctx.person.person)
    if view.match != "number":
        address = linking_by_sign_in.begin(ctx.house, ctx.person.person, view, here.onward(ctx), ctx.now)
        return _leave(ctx, view, address)
    once_more_for(ctx.house.store, ctx.house.keys, "link", view.id, number)
    again = f"{here.HOME}/{view.id}/link?next={quote(here.onward(ctx), safe='')}"
    return here.asks(ctx, view, partial(_start_number, ctx, view, number), again)


def _start_number(ctx: Context, view: OrganisationView, number: str) -> Response:
    try:
        state = linking_by_number.begin(ctx.house, ctx.person.person, view, number, here.onward(ctx), ctx.now)
    except ConnectorError as fault:
        calls.tell(view.id, fault)
        return here.failed(ctx, view, fault.reason, here.onward(ctx))
    return ctx.go(_code_address(view, state))


def _link_page(waits: Waits, ctx: Context, view: OrganisationView, error: str = "", number: str = "") -> Response:
    with ctx.house.store.read() as session:
        waiting = waits(session, here.onward(ctx), ctx.person.person, view.id, ctx.language)
    return ctx.page(
        "organisations/link.html",
        400 if error else 200,
        view=view,
        next=here.onward(ctx),
        waiting=waiting,
        datasets=here.datasets(ctx, view),
        error=error,
        number=number,
    )


def _leave(ctx: Context, view: OrganisationView, address: str) -> Response:
    """A page, not a redirect: `form-action 'self'` blocks a form whose answer leads to another origin."""
    site = view.connection.sign_in.name if view.connection.sign_in else view.name
    return ctx.page("organisations/leave.html", site=site, address=address, host=urlsplit(address).netloc)


def came_back(ctx: Context) -> Response | Later:
    """Where she has signed in sends her browser here (RFC 6749 §4.1.2): finish the link. A GET that links: its state is
    hers and spent once.
    """
    view, _ = here.found(ctx)
    if view.match not in linking_by_sign_in.FINISH:
        raise NotFound("nobody sends her here")
    state, code, error = (ctx.query.get(name, "") for name in ("state", "code", "error"))
    issuer = ctx.query.get("iss", "")
    if issuer and view.connection.sign_in and issuer != view.connection.sign_in.issuer:
        raise BadRequest("linked: another issuer")  # RFC 9207 §2.4
    if ctx.repeated or not state or len(state) > 200 or len(code) > 4096:
        raise BadRequest("linked: parameters")
    back = Back(ctx.person.person, state, code, error)
    return here.asks(
        ctx,
        view,
        lambda: _outcome(ctx, view, linking_by_sign_in.finish(ctx.house, view, back, ctx.now)),
        f"{ctx.request.url.path}?{ctx.request.url.query}",  # its state is not spent yet
    )


def _code_address(view: OrganisationView, state: str) -> str:
    return f"{here.HOME}/{view.id}/link/code?attempt={state}"


def code_form(ctx: Context) -> Response:
    """The form for the code that the organisation has sent to its customer."""
    view, _ = here.found(ctx)
    attempt = _attempt(ctx, view, ctx.query.get("attempt", ""))
    if isinstance(attempt, NotLinked):
        return here.failed(ctx, view, attempt.reason, attempt.return_to)
    return _code_page(ctx, view, attempt)


def try_code(ctx: Context) -> Response | Later:
    """Check that code with the organisation, and link. 400 for a wrong one, 429 after too many tries."""
    view, link = here.found(ctx)
    state, code = ctx.form.get("attempt", ""), ctx.form.get("code", "").replace(" ", "")
    attempt = _attempt(ctx, view, state)
    if isinstance(attempt, NotLinked):
        if link and attempt.reason == "spent":
            return ctx.go(attempt.return_to)  # a second click on the same button finds the work done
        return here.failed(ctx, view, attempt.reason, attempt.return_to)
    if view.kind == file_rules.KIND and not file_codes.CODE.fullmatch(code):
        return _code_page(ctx, view, attempt, N_("The code has 8 to 40 letters and digits."))
    if view.kind != file_rules.KIND and not linking_by_number.CODE.fullmatch(code):
        return _code_page(ctx, view, attempt, N_("The code has six digits."))
    if not view.active:
        return here.failed(ctx, view, "suspended", attempt.return_to)
    once_more(ctx.house.store, "code", ctx.person.person)
    once_more_for(ctx.house.store, ctx.house.keys, "code", view.id, attempt.secret["customer_number"])
    return here.asks(ctx, view, partial(_confirm, ctx, view, attempt, state, code), _code_address(view, state))


def _confirm(ctx: Context, view: OrganisationView, attempt: Attempt, state: str, code: str) -> Response:
    outcome = linking_by_number.confirm(ctx.house, ctx.person.person, view, state, code, ctx.now)
    if isinstance(outcome, NotLinked) and outcome.reason == "wrong_code":
        return _code_page(ctx, view, attempt, N_("This code is not right."), outcome.tries_left)
    if isinstance(outcome, NotLinked) and outcome.reason == "spent" and here.found(ctx)[1]:
        return ctx.go(outcome.return_to)  # another attempt of hers was quicker
    return _outcome(ctx, view, outcome)


def _attempt(ctx: Context, view: OrganisationView, state: str) -> Attempt | NotLinked:
    if view.match != "number":
        raise NotFound("no code is asked for here")
    with ctx.house.store.read() as session:
        return link_attempts.find(session, ctx.house.keys, ctx.person.person, view.id, state, ctx.now)


def _code_page(
    ctx: Context, view: OrganisationView, attempt: Attempt, error: str = "", left: int | None = None
) -> Response:
    secret = ctx.form.get("attempt") or ctx.query.get("attempt", "")
    return ctx.page(
        "organisations/code.html",
        400 if error else 200,
        view=view,
        attempt=secret,
        return_to=_code_address(view, secret),
        customer=linking.masked(attempt.secret["customer_number"]),
        error=error,
        onward=attempt.return_to,
        left=link_attempts.TRIES - attempt.tries if left is None else left,
    )


def _outcome(ctx: Context, view: OrganisationView, outcome: Linked | NotLinked) -> Response:
    if isinstance(outcome, NotLinked):
        return here.failed(ctx, view, outcome.reason, outcome.return_to)
    if outcome.unread:
        return here.failed(ctx, view, "unread", outcome.return_to)
    return ctx.go(outcome.return_to)
