"""Language and appearance. Both are kept in a cookie of this browser, the language also in the account."""

from starlette.responses import Response

from gateway.ground.web import cookies
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.templates import THEMES
from gateway.people import accounts
from gateway.people.steps import chosen_language, next_path


def switch_language(ctx: Context) -> Response:
    """Show all pages in this language, kept in the browser and in the account."""
    language = chosen_language(ctx)
    if ctx.caller and ctx.caller.language != language:
        with ctx.house.store.write() as session:
            person = accounts.get(session, ctx.caller.person)
            if person:
                person.language = language
                session.add(person)
    return ctx.go(next_path(ctx))


def switch_theme(ctx: Context) -> Response:
    """Any value other than light and dark means: as set on the device."""
    theme = ctx.form.get("theme", "")
    chosen = theme in THEMES
    ctx.set_cookies.append((cookies.THEME, theme if chosen else "", cookies.YEAR if chosen else 0))
    return ctx.go(next_path(ctx))


DOORS = [
    Door("/language", switch_language, methods=("POST",), opens="none"),
    Door("/theme", switch_theme, methods=("POST",), opens="none"),
]
