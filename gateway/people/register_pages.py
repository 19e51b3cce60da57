"""Opening an account. The answer is the same whether the address is free or taken, so that nobody can find out."""

from functools import partial

from starlette.responses import Response

from gateway.errors import TooMany
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.ground.web.marks import N_
from gateway.people import accounts, passwords, throttle
from gateway.people.steps import next_path, onward, today

TOO_MANY = N_("Too many accounts were opened from your network. Try again in an hour.")


def show_register(ctx: Context) -> Response:
    """The form for opening an account."""
    return ctx.go(next_path(ctx)) if ctx.caller else _page(ctx, {})


def _page(ctx: Context, wrong: dict[str, str], status: int = 200) -> Response:
    written = {name: ctx.form.get(name, "") for name in ("name", "email", "birth_date")}
    return ctx.page(
        "people/register.html",
        status,
        written=written,
        wrong=wrong,
        here=onward(ctx, "/register"),
        sign_in=onward(ctx, "/sign-in"),
        majority_age=ctx.house.settings.majority_age,
        today=today(ctx).isoformat(),
    )


def register(ctx: Context) -> Response | Later:
    """Open an account and lead to signing in; an address that has one already gets the same answer. 400 with the form
    for what is to be mended.
    """
    house, password = ctx.house, ctx.form.get("password", "")
    draft, wrong = accounts.draft(ctx.form, today(ctx))
    weak = passwords.weakness(password, (ctx.form.get("name", ""), ctx.form.get("email", "")))
    if weak:
        wrong["password"] = weak
    if draft is None or wrong:
        return _page(ctx, wrong, 400)
    try:
        throttle.of(house).spend("register", client_network(ctx.request, house.settings))
    except TooMany as error:
        response = _page(ctx, {"email": TOO_MANY}, 429)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    return Later("password", "", partial(_open, ctx, draft, password))


def _open(ctx: Context, draft: accounts.Draft, password: str) -> Response:
    hashed = passwords.hash_(password)
    with ctx.house.store.write() as session:
        accounts.open_account(session, ctx.house.log, draft, hashed, id=fresh(), language=ctx.language, now=ctx.now)
    return ctx.go(onward(ctx, "/sign-in", registered="1"))


DOORS = [
    Door("/register", show_register, opens="none", name="register_page"),
    Door("/register", register, methods=("POST",), opens="none"),
]
