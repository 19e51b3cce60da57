"""The home page, and the list of all doors of people."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import func, or_
from sqlmodel import Session, col, select
from starlette.responses import Response

from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.ground.calendar.ages import is_minor, minor_now
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.log import reading
from gateway.log.tally import WINDOW
from gateway.people import account_pages, accounts, preference_pages, register_pages, sign_in_pages
from gateway.people.sign_ins import SignInsEnded
from gateway.people.steps import account, today
from gateway.people.tables import Person


def home(linked: Callable[[Session, str], int], ctx: Context) -> Response:
    """The home page: what a signed-in person shares and how often it was read; for others, what this service is."""
    if ctx.caller is None:
        return ctx.page("people/welcome.html")
    person, settings = account(ctx), ctx.house.settings
    accesses = reading.accesses(ctx.session, ctx.house.log, person.id, ctx.now - WINDOW)
    return ctx.page(
        "people/home.html",
        sharings=_running(ctx, person.id, State.ACTIVE),
        paused=_running(ctx, person.id, State.PAUSED),
        waiting=_waiting(ctx, person),
        accesses=accesses.total(),
        organisations=linked(ctx.session, person.id),
        minor=is_minor(person.birth_date, today(ctx), settings.majority_age),
        guarded=person.guardian_id is not None,
    )


def _running(ctx: Context, person: str, state: State) -> int:
    live = select(func.count()).where(
        Consent.person_id == person,
        Consent.state == state,
        or_(col(Consent.until).is_(None), col(Consent.until) > ctx.now),
    )
    return ctx.session.exec(live).one()


def _waiting(ctx: Context, person: Person) -> int:
    """Requests that she may answer on her page of sharings: her own, and those of children she decides for."""
    children = accounts.children(ctx.session, person.id)
    wards = (one.id for one in children if minor_now(one.birth_date, ctx.now, ctx.house.settings))
    theirs = [person.id, *wards]
    waits = (col(Consent.person_id).in_(theirs), Consent.state == State.REQUESTED, Consent.via != "")
    return ctx.session.exec(select(func.count()).where(*waits, col(Consent.answer_by) > ctx.now)).one()


def doors(linked: Callable[[Session, str], int], ended: SignInsEnded) -> list[Door]:
    """`linked`: counts the organisations a person is linked with. `ended`: tells apps of sign-ins that end. They are
    handed in, because links and apps belong to rooms that this one may not import."""
    return [
        Door("/", partial(home, linked), name="home"),
        *register_pages.DOORS,
        *sign_in_pages.doors(ended),
        *account_pages.doors(ended),
        *preference_pages.DOORS,
    ]
