"""A door: one address, one plain function `(Context) -> Response`, one transaction.

    Door("/sharings/{id}/stop", stop, methods=("POST",), person=True, opens="write")

The wrapper reads the form, finds out who the caller is, checks that a form came from our own
page, opens the session, runs the function in a worker thread, commits, and turns
errors into an answer of the kind the caller expects (HTML, OAuth JSON or RFC 9457 problem).
All doors share a few worker threads, so work that waits for another party is returned as `Later`, or raised as `First`.
An answer with an error status commits as well, because the record of a refusal must stay;
only an exception rolls back. `otherwise` answers when no door does: 404, 405 and unexpected faults.

Where others write at the same time, a door that writes has the turn of its signed-in caller, and of the children she
decides for, from before the function reads until the commit: two clicks of hers come one after the other, whichever
processes they reach. Where the database undoes a transaction because another was in its way, the function runs again.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar
from urllib.parse import parse_qsl

import anyio.to_thread
from sqlmodel import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from gateway import errors
from gateway.ground.keys import fresh, same
from gateway.ground.keys.strict import is_text
from gateway.ground.pools import Full
from gateway.ground.store import TRIES, Clash, Store
from gateway.ground.web import answers, cookies
from gateway.ground.web.context import Caller, Context, Kind
from gateway.ground.web.languages import choose_language
from gateway.house import House

FORM_LIMIT = 64 * 1024
FIELDS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Later:
    """The rest of a handler's work, which waits for another party. It runs in a pool (`ground.pools`), after the door's
    transaction.

    `full` makes the answer if the pool has no room; without it the answer is the error page of `Full`.
    """

    duty: str
    party: str
    work: Callable[[], Response]
    full: Callable[[], Response] | None = None


class First(Exception):
    """Raised by a handler: before it can answer, this has to be done, which waits for another party.

    The door's transaction is undone, `work` runs in a pool (`ground.pools`) outside of any transaction, and the handler
    runs again from the start; `Context.done` then holds `what`, and nothing is done twice for one call. Where the pool
    has no room the handler runs again without it.
    """

    def __init__(self, what: str, duty: str, party: str, work: Callable[[], None]) -> None:
        super().__init__(what)
        self.what, self.duty, self.party, self.work = what, duty, party, work


Handler = Callable[[Context], Response | Later]
Identify = Callable[[Session, str, datetime], Caller | None]
_Answer = TypeVar("_Answer", Response, Response | Later)


@dataclass(frozen=True)
class Door:
    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    kind: Kind = "page"
    opens: Literal["read", "write", "none"] = "read"
    person: bool = False  # True: anonymous callers are sent to sign in
    gives: bool = False  # a right to data: closed as long as the log is frozen
    also: Callable[[Context], Mapping[str, str]] | None = None  # fields of every answer, errors too
    outlived: Handler | None = None  # answers a form whose sign-in or visit is over; it must not decide anything
    csrf: bool = True  # POST from pages only; APIs that authenticate apps set False
    name: str = ""


def route(door: Door, house: House, identify: Identify) -> Route:
    """The Starlette route for one door."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request, door)
        except errors.GatewayError as error:
            return _sent(answers.failure(error, door.kind, context := _context(house, request, b"")), context)
        answer = await anyio.to_thread.run_sync(_run, door, house, identify, request, body)
        return answer if isinstance(answer, Response) else await _finished(door, *answer)

    endpoint.__name__ = door.name or door.handler.__name__
    return Route(door.path, endpoint, methods=list(door.methods), name=endpoint.__name__)


_TAKEN = "aval.route"  # of the scope


class Direct(BaseRoute):
    """To be put before `routes`: it finds at once the one of them that would be taken; where the address has variable
    parts, among those that begin alike. Looking through all of them costs more than what many a door does."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._found: dict[tuple[str, str], Route] = {}
        self._alike: dict[str, list[Route]] = {}  # by the first part of their addresses
        for path in {each.path for each in routes if not each.param_convertors}:
            for each in reversed([each for each in routes if each.path_regex.match(path)]):
                self._found |= {(path, method): each for method in each.methods or ()}
        any_start = [each for each in routes if "{" in _start(each.path)]
        for start in {_start(each.path) for each in routes}:
            self._alike[start] = [each for each in routes if _start(each.path) == start or each in any_start]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        found = self._found.get((scope["path"], scope["method"]))
        for each in (found,) if found else self._alike.get(_start(scope["path"]), ()):
            match, child = each.matches(scope)
            if match is Match.FULL:
                return match, {**child, _TAKEN: each}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope[_TAKEN].handle(scope, receive, send)


def _start(path: str) -> str:
    return path.split("/", 2)[1]


def otherwise(house: House, identify: Identify) -> Callable[[Request, Exception], Response]:
    """The handler for requests that no door answered: Starlette's `exception_handlers` for 404, 405 and 500.

    The answer is a page if the request accepts HTML, otherwise a problem (RFC 9457).
    """

    def answer(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        error = errors.GatewayError() if status >= 500 else _UNROUTED.get(status, errors.BadRequest)()
        context = _context(house, request, b"")
        if "text/html" not in request.headers.get("accept", ""):
            response = answers.problem(status, error.code, error.say)
        else:
            with contextlib.suppress(errors.Unavailable):  # the error page must work even if the store does not
                context.caller = _who(identify, context, None)
            shown = errors.WrongMethod() if status == 405 else error
            response = answers.page(context, "error.html", status, error=shown)
        if isinstance(fault, HTTPException) and fault.headers:
            response.headers.update(fault.headers)
        if status == 405:
            response.headers["Allow"] = ", ".join(_methods(request))
        return _sent(response, context)

    return answer


def _methods(request: Request) -> list[str]:
    """The methods allowed at the address (RFC 9110 §10.2.1), of all its doors: Starlette only names those of one."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in fitting for method in route.methods or ()})


_UNROUTED: dict[int, type[errors.GatewayError]] = {404: errors.NotFound}


async def _body(request: Request, door: Door) -> bytes:
    if request.method in ("GET", "HEAD"):
        return b""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise errors.BadRequest("content-encoding")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            raise errors.BadRequest("body too large", say="The request is too large.")
    return body


def _run(
    door: Door, house: House, identify: Identify, request: Request, body: bytes
) -> Response | tuple[Context, Later]:
    context = _context(house, request, body)

    try:
        response = _or_refused(door, context, partial(_handled, door, identify, context))
    except First as first:
        _forget_cookies(context, 0)
        context._session = None
        after = partial(_after, door, identify, context, first)
        return context, Later(first.duty, first.party, after, partial(after, left_out=True))
    context._session = None
    _note_seen(house.store, context.caller)
    if isinstance(response, Later):
        return context, response
    return _sent(_also(door, context, response), context)


def _also(door: Door, context: Context, response: Response) -> Response:
    if door.also:
        with contextlib.suppress(errors.Unavailable):
            response.headers.update(door.also(context))
    return response


def _after(door: Door, identify: Identify, context: Context, first: First, left_out: bool = False) -> Response:
    """What the door's function answers once that was done which had to be, or was left out. In a thread of a pool."""
    while True:
        if not left_out:
            first.work()
        if first.what in context.done:
            raise AssertionError(f"{first.what} was done before")
        context.done.add(first.what)
        try:
            response = _or_refused(door, context, partial(_handled, door, identify, context))
        except First as another:
            _forget_cookies(context, 0)
            first = another
            continue
        finally:
            context._session = None
        _note_seen(context.house.store, context.caller)
        if isinstance(response, Later):
            raise AssertionError("what waits for another party comes first or later, not both")
        return _also(door, context, response)


def _handled(door: Door, identify: Identify, context: Context) -> Response | Later:
    """What the door's function answers. Undone because another transaction was in its way, it runs again from the
    start: what a rollback does not undo must be harmless when it is done twice."""
    _check_texts(context)
    for again in range(1, TRIES + 1):
        try:
            return _once(door, identify, context)
        except Clash:
            if door.opens != "write" or again == TRIES:
                raise
            _forget_cookies(context, 0)
    raise AssertionError


def _once(door: Door, identify: Identify, context: Context) -> Response | Later:
    with _opened(context.house.store, door.opens) as session:
        context._session = session
        context.caller = _who(identify, context, session)
        if door.opens == "write" and context.caller and not context.house.store.alone:
            context.caller = _in_turn(identify, context, context.caller)
        return _handler(door, context)(context)


def _in_turn(identify: Identify, context: Context, caller: Caller) -> Caller | None:
    """The caller once more, when her turn has come: her sign-in may have ended before."""
    wards = caller.wards(context.session) if caller.wards else ()
    context.house.log.turn(context.session, caller.person, *wards)
    return _who(identify, context, context.session)


def _check_texts(context: Context) -> None:
    """Refuse what no database keeps as a text, in the address or the form: a NUL, half a character. Raises NotFound,
    BadRequest."""
    if not is_text("".join(context.path.values())):
        raise errors.NotFound("no text")
    named = (context.query, context.form_lists)
    if not is_text("".join(part for each in named for name, value in each.items() for part in (name, *value))):
        raise errors.BadRequest("no text")


def _or_refused(door: Door, context: Context, work: Callable[[], _Answer]) -> _Answer:
    """What `work` answers, or the answer to its error. The cookies it set are part of what its error undoes."""
    before = len(context.set_cookies)
    try:
        return work()
    except errors.GatewayError as error:
        _forget_cookies(context, before)
        if isinstance(error, errors.NotSignedIn):
            return answers.sign_in_first(door.kind, context)
        return answers.failure(error, door.kind, context)


def _forget_cookies(context: Context, before: int) -> None:
    """Those set by what was undone. That of the visit stays: forms that were made are bound to it."""
    context.set_cookies[before:] = [one for one in context.set_cookies[before:] if one[0] == cookies.VISIT]


async def _finished(door: Door, context: Context, later: Later) -> Response:
    try:
        work = partial(_answered, door, context, later.work)
        person = context.caller.person if context.caller else ""
        return await context.house.pools.run(later.duty, later.party, work, person)
    except Full as full:
        refused = later.full or partial(answers.failure, full, door.kind, context)
        return await anyio.to_thread.run_sync(_answered, door, context, refused)


def _answered(door: Door, context: Context, work: Callable[[], Response]) -> Response:
    return _sent(_or_refused(door, context, work), context)


def _who(identify: Identify, context: Context, session: Session | None) -> Caller | None:
    """The signed-in caller. Also sets the page's language to the one this person prefers."""
    house = context.house
    secret = cookies.read(context.request, cookies.SIGN_IN, house.settings)
    if not secret:
        return None
    with contextlib.nullcontext(session) if session else house.store.read() as reading:
        caller = identify(reading, secret, context.now)
    if caller:
        context.language = choose_language(context.request, house.settings, caller.language)
    return caller


def _note_seen(store: Store, caller: Caller | None) -> None:
    if caller and caller.seen:
        # The answer stands either way: unnoted, the sign-in merely ends a little earlier.
        with contextlib.suppress(errors.Unavailable), store.write() as session:
            caller.seen(session)


def _sent(response: Response, context: Context) -> Response:
    settings = context.house.settings
    response.headers.update(answers.transport(settings))
    for name, value, age in context.set_cookies:
        cookies.write(response, name, value, age, settings)
    return response


def _handler(door: Door, context: Context) -> Handler:
    """Who answers. Raises NotSignedIn, Forbidden, and OldForm if the door has no answer of its own to such a form."""
    stranger = door.person and context.caller is None
    form = door.kind == "page" and door.csrf and context.request.method == "POST"
    if stranger and not (form and door.outlived):
        raise errors.NotSignedIn
    if form:
        _same_origin(context)
        if stranger or not same(context.form.get("csrf", ""), context.csrf):
            return door.outlived or _too_old
    if door.gives:
        context.house.log.require_whole()
    return door.handler


def _too_old(_: Context) -> Response:
    raise errors.OldForm("csrf token")


def _same_origin(context: Context) -> None:
    """If the browser sends Origin and Sec-Fetch-Site, they must be our own (OWASP CSRF).

    Because of our `Referrer-Policy: no-referrer`, browsers send `Origin: null` with our own forms (Fetch, "append a
    request Origin header"). This is accepted only together with `Sec-Fetch-Site: same-origin`, which no page can forge.
    """
    origin = context.request.headers.get("origin")
    site = context.request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise errors.Forbidden("cross-site form")
    if origin == "null" and site == "same-origin":
        return
    if origin is not None and origin != context.house.settings.public_url:
        raise errors.Forbidden("foreign origin")


@contextlib.contextmanager
def _opened(store: Store, opens: str) -> Iterator[Session | None]:
    if opens == "none":
        yield None
    else:
        with store.write() if opens == "write" else store.read() as session:
            yield session


def _context(house: House, request: Request, body: bytes) -> Context:
    query = _pairs(request.url.query)
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    form = _pairs(body.decode("utf-8", "replace")) if media == "application/x-www-form-urlencoded" else []
    visit = cookies.read(request, cookies.VISIT, house.settings)
    context = Context(
        house=house.latest,
        request=request,
        now=house.clock(),
        language=choose_language(request, house.settings, None),
        path={name: str(value) for name, value in request.path_params.items()},
        query=dict(query),
        query_lists=_lists(query),
        form=dict(form),
        form_lists=_lists(form),
        raw_body=body,
        repeated=_repeated(query, form),
        visit=visit or fresh(),
        new_visit=not visit,
        render=answers.page,
    )
    return context


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_LIMIT)
    except ValueError:
        return []


def _lists(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _repeated(query: list[tuple[str, str]], form: list[tuple[str, str]]) -> frozenset[str]:
    names = [name for name, _ in [*query, *form]]
    return frozenset(name for name in names if names.count(name) > 1)
