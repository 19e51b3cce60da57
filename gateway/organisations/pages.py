"""The person's doors to organisations: what is linked, linking, unlinking, her own download.

What asks an organisation is `Later`: it waits in a pool of that organisation, with no transaction open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from urllib.parse import quote, urlsplit

from sqlmodel import Session, col, select
from starlette.responses import Response

from gateway.consent import deciding
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.consent.terms import granted_items
from gateway.errors import BadRequest, NotFound
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import fresh
from gateway.ground.web.answers import own_path
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.ground.web.headers import PAGE_HEADERS
from gateway.ground.web.marks import N_
from gateway.log import Event, reading
from gateway.log.record import Fact
from gateway.organisations import calls, downloads, linking, links, tokens, views
from gateway.organisations.linking import Linked, NotLinked
from gateway.organisations.sentences import failed
from gateway.organisations.tables import Link
from gateway.organisations.throttle import once_more, once_more_for
from gateway.organisations.views import OrganisationView
from gateway.sectors.model import FoundAccount

HOME = "/organisations"
_NO_NUMBER = N_("Write the number as it stands on your letters, 3 to 40 characters.")
AGAIN_SECONDS = "30"  # Retry-After of a page that says how busy an organisation is


@dataclass(frozen=True, slots=True)
class Waiting:
    """An app's request that she came from: it goes on when her account here is linked."""

    app: str
    purpose: str
    data: tuple[str, ...]  # what it asks for here


# (session, where she goes next, person, organisation, language); None: she came by herself
Waits = Callable[[Session, str, str, str, str], Waiting | None]


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One organisation on her list. `link` None: not linked."""

    view: OrganisationView
    link: Link | None
    accounts: list[FoundAccount]
    last_access: datetime | None
    empty: list["Affected"]  # her sharings that read nothing there, because none of their accounts is


@dataclass(frozen=True, slots=True)
class Affected:
    """A sharing that reads data at an organisation."""

    id: str
    app: str
    purpose: str
    paused: bool
    empty: bool  # none of the accounts it was agreed for is at the other end of her link


# ---- the list


def index(ctx: Context) -> Response:
    """A person's organisations: linked or not, their accounts, and when data was last read there."""
    person = ctx.person.person
    linked = links.of_person(ctx.session, person)
    rows = [_row(ctx, view, linked.get(view.id)) for view in views.directory(ctx.session).values()]
    return ctx.page(
        "organisations/index.html",
        linked=[row for row in rows if row.link],
        others=[row for row in rows if not row.link],
    )


def _row(ctx: Context, view: OrganisationView, link: Link | None) -> LinkRow:
    if link is None:
        return LinkRow(view, None, [], None, [])
    empty = [sharing for sharing in _affected(ctx, ctx.session, view.id) if sharing.empty]
    return LinkRow(view, link, links.accounts_of(ctx.house.keys, link), _last_access(ctx, view.id), empty)


def _last_access(ctx: Context, organisation: str) -> datetime | None:
    """When data of hers last left the organisation through us, as her access log has it."""
    wanted = reading.Filter(badge="access", organisation=organisation)
    found = reading.page(ctx.session, ctx.house.log, ctx.person.person, wanted, size=1)
    return found.entries[0].at if found.entries else None


# ---- linking


def explain(waits: Waits, ctx: Context) -> Response:
    """The page that explains what linking with this organisation does, before she begins."""
    view, link = _here(ctx)
    if link:
        return ctx.go(_next(ctx))
    return _link_page(waits, ctx, view)


def start(waits: Waits, ctx: Context) -> Response | Later:
    """Begin to link: on to the organisation's own page (OAuth), or to the code it sends to its customer. 429 after too
    many tries.
    """
    view, link = _here(ctx)
    if link:
        return ctx.go(_next(ctx))
    if not view.active:
        return _failed(ctx, view, "suspended")
    number = ctx.form.get("customer_number", "").strip()
    if view.kind == "assertion" and not linking.NUMBER.fullmatch(number):
        return _link_page(waits, ctx, view, _NO_NUMBER, number)
    once_more(ctx.house.store, "link", ctx.person.person)
    if view.kind == "oauth":
        address = linking.begin_oauth(ctx.house, ctx.person.person, view, _next(ctx), ctx.now)
        return _leave(ctx, view, address)
    once_more_for(ctx.house, "link", view.id, number)
    here = f"{HOME}/{view.id}/link"
    return _asks(ctx, view, partial(_start_number, ctx, view, number), f"{here}?next={quote(_next(ctx), safe='')}")


def _start_number(ctx: Context, view: OrganisationView, number: str) -> Response:
    try:
        state = linking.begin_number(ctx.house, ctx.person.person, view, number, _next(ctx), ctx.now)
    except ConnectorError as fault:
        calls.tell(view.id, fault)
        return _failed(ctx, view, fault.reason)
    return ctx.go(f"{HOME}/{view.id}/link/code?attempt={state}")


def _link_page(waits: Waits, ctx: Context, view: OrganisationView, error: str = "", number: str = "") -> Response:
    with ctx.house.store.read() as session:
        waiting = waits(session, _next(ctx), ctx.person.person, view.id, ctx.language)
    return ctx.page(
        "organisations/link.html",
        400 if error else 200,
        view=view,
        next=_next(ctx),
        waiting=waiting,
        datasets=_datasets(ctx, view),
        error=error,
        number=number,
    )


def _leave(ctx: Context, view: OrganisationView, address: str) -> Response:
    """A page, not a redirect: `form-action 'self'` blocks a form whose answer leads to another origin."""
    return ctx.page("organisations/leave.html", view=view, address=address, host=urlsplit(address).netloc)


def came_back(ctx: Context) -> Response | Later:
    """The organisation sends her browser here (RFC 6749 §4.1.2): finish the link. A GET that links: its state is hers
    and spent once.
    """
    view, _ = _here(ctx)
    if view.kind != "oauth":
        raise NotFound("no OAuth connection")
    state, code, error = (ctx.query.get(name, "") for name in ("state", "code", "error"))
    if ctx.repeated or not state or len(state) > 200 or len(code) > 4096:
        raise BadRequest("linked: parameters")
    person, house = ctx.person.person, ctx.house
    return _asks(
        ctx,
        view,
        lambda: _outcome(ctx, view, linking.finish_oauth(house, person, view, state, code, error, ctx.now)),
        f"{ctx.request.url.path}?{ctx.request.url.query}",  # its state is not spent yet
    )


def code_form(ctx: Context) -> Response:
    """The form for the code that the organisation has sent to its customer."""
    view, _ = _here(ctx)
    attempt = _attempt(ctx, view, ctx.query.get("attempt", ""))
    return _failed(ctx, view, attempt.reason) if isinstance(attempt, NotLinked) else _code_page(ctx, view, attempt)


def try_code(ctx: Context) -> Response | Later:
    """Check that code with the organisation, and link. 400 for a wrong one, 429 after too many tries."""
    view, link = _here(ctx)
    state, code = ctx.form.get("attempt", ""), ctx.form.get("code", "").replace(" ", "")
    attempt = _attempt(ctx, view, state)
    if isinstance(attempt, NotLinked):
        # A second click on the same button finds the work done.
        return ctx.go(attempt.return_to) if link and attempt.reason == "spent" else _failed(ctx, view, attempt.reason)
    if not linking.CODE.fullmatch(code):
        return _code_page(ctx, view, attempt, N_("The code has six digits."))
    if not view.active:
        return _failed(ctx, view, "suspended")
    once_more(ctx.house.store, "code", ctx.person.person)
    once_more_for(ctx.house, "code", view.id, attempt.secret["customer_number"])
    return _asks(
        ctx, view, partial(_confirm, ctx, view, attempt, state, code), f"{HOME}/{view.id}/link/code?attempt={state}"
    )


def _confirm(ctx: Context, view: OrganisationView, attempt: linking.Attempt, state: str, code: str) -> Response:
    outcome = linking.confirm_code(ctx.house, ctx.person.person, view, state, code, ctx.now)
    if isinstance(outcome, NotLinked) and outcome.reason == "wrong_code":
        return _code_page(ctx, view, attempt, N_("This code is not right."), outcome.tries_left)
    if isinstance(outcome, NotLinked) and outcome.reason == "spent" and _here(ctx)[1]:
        return ctx.go(outcome.return_to)  # another attempt of hers was quicker
    return _outcome(ctx, view, outcome)


def _attempt(ctx: Context, view: OrganisationView, state: str) -> linking.Attempt | NotLinked:
    with ctx.house.store.read() as session:
        return linking.find_attempt(session, ctx.house, ctx.person.person, view.id, state, ctx.now)


def _code_page(
    ctx: Context, view: OrganisationView, attempt: linking.Attempt, error: str = "", left: int | None = None
) -> Response:
    secret = ctx.form.get("attempt") or ctx.query.get("attempt", "")
    return ctx.page(
        "organisations/code.html",
        400 if error else 200,
        view=view,
        attempt=secret,
        return_to=f"{HOME}/{view.id}/link/code?attempt={secret}",
        customer=linking.masked(attempt.secret["customer_number"]),
        error=error,
        left=linking.TRIES - attempt.tries if left is None else left,
    )


def _outcome(ctx: Context, view: OrganisationView, outcome: Linked | NotLinked) -> Response:
    if isinstance(outcome, NotLinked):
        return _failed(ctx, view, outcome.reason, outcome.return_to)
    if outcome.unread:
        return _failed(ctx, view, "unread", outcome.return_to)
    return ctx.go(outcome.return_to)


def refresh(ctx: Context) -> Response | Later:
    """Read her accounts there again, after she opened or closed one."""
    view, link = _linked_here(ctx)
    if not view.active:
        return _failed(ctx, view, "suspended")
    once_more(ctx.house.store, "refresh", ctx.person.person)
    return _asks(ctx, view, partial(_read_again, ctx, view, link), HOME)


def _read_again(ctx: Context, view: OrganisationView, link: Link) -> Response:
    reason = linking.read_accounts(ctx.house, view, link)
    return _failed(ctx, view, reason) if reason else ctx.go(_next(ctx))


# ---- unlinking


def unlink_form(ctx: Context) -> Response:
    """The page that asks before a link is ended: it names the sharings that will then read nothing there."""
    view, link = _here(ctx)
    if link is None:
        return ctx.go(HOME)
    with ctx.house.store.read() as session:
        affected = _affected(ctx, session, view.id)
    return ctx.page("organisations/unlink.html", view=view, link=link, affected=affected)


def unlink(ctx: Context) -> Response | Later:
    """End the link. It has ended here before anybody waits for the organisation, and whether it hears or not."""
    view, _ = _here(ctx)
    with ctx.house.store.read() as session:
        affected = _affected(ctx, session, view.id)
    link = linking.unlink(ctx.house, ctx.person.person, view, ctx.now)
    if link is None:
        return ctx.go(HOME)  # a second click on the same button

    def ended(told: bool) -> Response:
        page = "organisations/unlinked.html"
        return ctx.page(page, view=view, told=told, affected=affected, at=ctx.now, return_to=HOME)

    return Later(
        "unlink", view.id, lambda: ended(linking.tell_end(ctx.house, view, link, ctx.now)), partial(ended, told=False)
    )


def _affected(ctx: Context, session: Session, organisation: str) -> list[Affected]:
    """Her live sharings that read data there: they stay, and get nothing from it while it is not linked."""
    query = select(Consent).where(
        Consent.person_id == ctx.person.person, col(Consent.state).in_([State.ACTIVE, State.PAUSED])
    )
    found = []
    for consent in session.exec(query.order_by(col(Consent.created_at))):
        terms = deciding.current(session, consent)
        if terms is None or deciding.is_over(consent, ctx.now):
            continue
        agreed = [item["accounts"] for item in granted_items(terms) if item["organisation"] == organisation]
        if agreed:
            app, purpose = terms["app"]["name"][ctx.language], terms["purpose"]["title"][ctx.language]
            known = links.known_to(session, ctx.house.keys, consent.app_id, consent.person_id, organisation)
            empty = {ref for ref, _ in known}.isdisjoint(chain(*agreed))
            found.append(Affected(consent.id, app, purpose, consent.state == State.PAUSED, empty))
    return found


# ---- her own download


def download_form(ctx: Context) -> Response:
    """The page that says what her own copy of her data will hold."""
    view, link = _here(ctx)
    if link is None:
        return ctx.go(HOME)
    accounts = links.accounts_of(ctx.house.keys, link)
    return ctx.page("organisations/download.html", view=view, datasets=_datasets(ctx, view), accounts=accounts)


def download(ctx: Context) -> Response | Later:
    """Her own copy of her data at this organisation, after a recent sign-in; in her access log before it leaves.

    1. a recent sign-in   2. read everything   3. the entry is durable   4. the bytes leave
    """
    if not ctx.signed_in_within(ctx.house.settings.recent_minutes):  # 1.
        here = quote(f"{HOME}/{ctx.path['id']}/download", safe="")
        return ctx.go(f"/sign-in?again=1&next={here}")
    view, link = _linked_here(ctx)
    if not view.active:
        return _failed(ctx, view, "suspended")
    once_more(ctx.house.store, "download", ctx.person.person)
    return _asks(ctx, view, partial(_download, ctx, view, link), f"{HOME}/{view.id}/download", "download")


def _download(ctx: Context, view: OrganisationView, link: Link) -> Response:
    line = calls.Line(ctx.house, view, links.view_of(ctx.house.keys, link), fresh(16))
    try:
        copy = downloads.read(line, links.accounts_of(ctx.house.keys, link), ctx.now)  # 2.
    except ConnectorError as fault:
        return _failed(ctx, view, fault.reason, f"{HOME}/{view.id}/download", missing=_datasets(ctx, view))
    languages = {name: ctx.house.translations.of(name) for name in downloads.README}
    labels = {name: found.label for name, found in ctx.house.catalogue.datasets.items()}
    body = downloads.packed(copy, languages, labels)
    _record_download(ctx, copy, len(body), line.request_id)  # 3.
    return _attachment(copy, body)  # 4.


def _record_download(ctx: Context, copy: downloads.Copy, size: int, request_id: str) -> None:
    view = copy.organisation
    facts: dict[str, Fact] = {
        "organisation": view.id,
        "organisation_name": tokens.spoken(ctx.house.settings, view),
        "datasets": list(copy.datasets),
        "records": copy.records,
        "files": len(copy.files),
        "bytes": size,
        "request_id": request_id,
    }
    with ctx.house.store.write() as session:
        ctx.house.log.require_whole()  # it may have been frozen while the organisation answered
        ctx.house.log.record(session, Event("download", ctx.person.person, ctx.now, facts=facts))


def _attachment(copy: downloads.Copy, body: bytes) -> Response:
    headers = {
        **PAGE_HEADERS,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f'attachment; filename="{downloads.file_name(copy)}"',
    }
    media_type = copy.files[0].media_type if copy.single else downloads.ZIP_TYPE
    return Response(body, 200, headers, media_type)


# ---- common to all


def _asks(ctx: Context, view: OrganisationView, work: Callable[[], Response], again: str, duty: str = "page") -> Later:
    """The rest of the answer asks this organisation. `again`: the page from which she may try again when it is full."""
    return Later(duty, view.id, work, partial(_failed, ctx, view, "crowded", again))


def _here(ctx: Context) -> tuple[OrganisationView, Link | None]:
    """The organisation in the path, and her live link with it."""
    with ctx.house.store.read() as session:
        view = views.view(session, ctx.path["id"])
        if view is None:
            raise NotFound("organisation")
        return view, links.kept(session, links.current(session, ctx.person.person, view.id))


def _linked_here(ctx: Context) -> tuple[OrganisationView, Link]:
    view, link = _here(ctx)
    if link is None:
        raise NotFound("no link")
    return view, link


def _next(ctx: Context) -> str:
    """Where to go on afterwards: one of our own pages (A32)."""
    path = own_path(ctx.form.get("next") or ctx.query.get("next", ""))
    return HOME if path == "/" else path


def _datasets(ctx: Context, view: OrganisationView) -> list[tuple[str, str]]:
    """(label, one line) of each type of data it holds, in the catalogue's words."""
    known = ctx.house.catalogue.datasets
    found = [known[name] for name in view.datasets if name in known]
    return [(dataset.label[ctx.language], dataset.short[ctx.language]) for dataset in found]


def _failed(
    ctx: Context,
    view: OrganisationView,
    reason: str,
    onward: str = HOME,
    missing: list[tuple[str, str]] | None = None,
) -> Response:
    status, sentence = failed(reason, view.name[ctx.language], ctx.house.translations.of(ctx.language))
    response = ctx.page(
        "organisations/failed.html",
        status,
        view=view,
        reason=reason,
        sentence=sentence,
        onward=onward,
        missing=missing or [],
        return_to=HOME,
    )
    if status == 503:
        response.headers["Retry-After"] = AGAIN_SECONDS
    return response


def doors(waits: Waits) -> list[Door]:
    """`waits`: which app's request, if any, she came from to link an account."""
    one = HOME + "/{id}"
    door = partial(Door, opens="none", person=True)
    send = partial(door, methods=("POST",))
    return [
        Door(HOME, index, person=True, name="organisations"),
        door(f"{one}/link", partial(explain, waits), name="organisation_link"),
        send(f"{one}/link", partial(start, waits), gives=True, name="organisation_link_start"),
        door(f"{one}/link/code", code_form, name="organisation_code"),
        send(f"{one}/link/code", try_code, gives=True, name="organisation_try"),
        door(f"{one}/linked", came_back, gives=True, name="organisation_came_back"),
        send(f"{one}/refresh", refresh, gives=True, name="organisation_refresh"),
        door(f"{one}/unlink", unlink_form, name="organisation_unlink"),
        send(f"{one}/unlink", unlink, name="organisation_unlink_do"),
        door(f"{one}/download", download_form, name="organisation_download"),
        send(f"{one}/download", download, gives=True, name="organisation_read"),
    ]
