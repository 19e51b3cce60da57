"""The person's doors to organisations: which are linked, what they hold of her, reading that again, unlinking.

What asks an organisation is `Later`: it waits in a pool of that organisation, with no transaction open.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain

from sqlmodel import Session, col, select
from starlette.responses import Response

from gateway.consent import deciding
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.consent.terms import granted_items
from gateway.formats.model import FoundAccount
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.log import reading
from gateway.organisations import download_pages, here, linking, linking_pages, links, views
from gateway.organisations.linking_pages import Waits
from gateway.organisations.tables import Link
from gateway.organisations.throttle import once_more
from gateway.organisations.views import OrganisationView


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


def refresh(ctx: Context) -> Response | Later:
    """Read her accounts there again, after she opened or closed one."""
    view, link = here.linked(ctx)
    if not view.active:
        return here.failed(ctx, view, "suspended")
    once_more(ctx.house.store, "refresh", ctx.person.person)
    return here.asks(ctx, view, partial(_read_again, ctx, view, link), here.HOME)


def _read_again(ctx: Context, view: OrganisationView, link: Link) -> Response:
    reason = linking.read_accounts(ctx.house, view, link)
    return here.failed(ctx, view, reason) if reason else ctx.go(here.onward(ctx))


# ---- unlinking


def unlink_form(ctx: Context) -> Response:
    """The page that asks before a link is ended: it names the sharings that will then read nothing there."""
    view, link = here.found(ctx)
    if link is None:
        return ctx.go(here.HOME)
    with ctx.house.store.read() as session:
        affected = _affected(ctx, session, view.id)
    return ctx.page("organisations/unlink.html", view=view, link=link, affected=affected)


def unlink(ctx: Context) -> Response | Later:
    """End the link. It has ended here before anybody waits for the organisation, and whether it hears or not."""
    view, _ = here.found(ctx)
    with ctx.house.store.read() as session:
        affected = _affected(ctx, session, view.id)
    link = linking.unlink(ctx.house, ctx.person.person, view, ctx.now)
    if link is None:
        return ctx.go(here.HOME)  # a second click on the same button

    def ended(told: linking.Ending) -> Response:
        page = "organisations/unlinked.html"
        return ctx.page(page, view=view, told=told, affected=affected, at=ctx.now, return_to=here.HOME)

    later = partial(ended, told=linking.Ending.BUSY)
    return Later("unlink", view.id, lambda: ended(linking.tell_end(ctx.house, link, ctx.now)), later)


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


def doors(waits: Waits) -> list[Door]:
    """`waits`: which app's request, if any, she came from to link an account."""
    one = here.HOME + "/{id}"
    door = partial(Door, opens="none", person=True)
    send = partial(door, methods=("POST",))
    return [
        Door(here.HOME, index, person=True, name="organisations"),
        door(f"{one}/link", partial(linking_pages.explain, waits), name="organisation_link"),
        send(f"{one}/link", partial(linking_pages.start, waits), gives=True, name="organisation_link_start"),
        door(f"{one}/link/code", linking_pages.code_form, name="organisation_code"),
        send(f"{one}/link/code", linking_pages.try_code, gives=True, name="organisation_try"),
        door(f"{one}/linked", linking_pages.came_back, gives=True, name="organisation_came_back"),
        send(f"{one}/refresh", refresh, gives=True, name="organisation_refresh"),
        door(f"{one}/unlink", unlink_form, name="organisation_unlink"),
        send(f"{one}/unlink", unlink, name="organisation_unlink_do"),
        door(f"{one}/download", download_pages.download_form, name="organisation_download"),
        send(f"{one}/download", download_pages.download, gives=True, name="organisation_read"),
    ]
