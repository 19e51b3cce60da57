"""What several doors of people share: where to go on, today's date, and "sign in again first"."""

from datetime import date
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.errors import BadRequest, NotSignedIn
from gateway.ground.calendar.instants import local_day
from gateway.ground.web import answers, cookies
from gateway.ground.web.context import Context
from gateway.people import accounts
from gateway.people.tables import Person
from gateway.settings import LANGUAGES


def next_path(ctx: Context) -> str:
    """Where the person was going: `next` in the address or the form. Always a path of our own pages."""
    return answers.own_path(ctx.query.get("next") or ctx.form.get("next") or "/")


def is_again(ctx: Context) -> bool:
    """Whether the page asks a signed-in person to sign in again, as a confirmation."""
    return ctx.caller is not None and ctx.query.get("again") == "1"


def onward(ctx: Context, path: str, **more: str) -> str:
    """The address of another step of the same sign-in: `path`, with the same `next`."""
    kept = {"next": next_path(ctx)} if next_path(ctx) != "/" else {}
    kept |= {"again": "1"} if is_again(ctx) else {}
    return f"{path}?{urlencode(kept | more)}" if kept or more else path


def today(ctx: Context) -> date:
    return local_day(ctx.now, ctx.house.settings.zone)


def chosen_language(ctx: Context) -> str:
    """The language in the form, from now on that of this browser. Raises BadRequest."""
    language = ctx.form.get("language", "")
    if language not in LANGUAGES:
        raise BadRequest("language")
    ctx.set_cookies.append((cookies.LANGUAGE, language, cookies.YEAR))
    return language


def recently(ctx: Context) -> Response | None:
    """None if the sign-in is recent enough to change how the person signs in; else the answer that leads to signing in
    again."""
    if ctx.signed_in_within(ctx.house.settings.recent_minutes):
        return None
    here = ctx.request.url.path if ctx.request.method == "GET" else "/account"
    return ctx.go("/sign-in?" + urlencode({"next": here, "again": "1"}))


def account(ctx: Context) -> Person:
    """The caller's own row, in the door's session."""
    person = accounts.get(ctx.session, ctx.person.person)
    if person is None:
        raise NotSignedIn
    return person
