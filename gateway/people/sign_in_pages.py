"""Doors of signing in and out: password, second factor, passkey.

A password is checked while no session is open, and only success writes to the database. Every success makes a new
sign-in with a new secret and ends the one that the browser had before (against session fixation: ASVS 7.2.4).
"""

from functools import partial

from sqlmodel import Session
from starlette.responses import Response

from gateway.errors import OldForm, TooMany
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.web import cookies
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.ground.web.marks import N_
from gateway.log import Event
from gateway.people import accounts, passkeys, passwords, sign_ins, throttle, totp
from gateway.people.sign_ins import SignInsEnded
from gateway.people.steps import is_again, next_path, onward
from gateway.people.tables import Person
from gateway.people.words import browser

WRONG_PASSWORD = N_("The address or the password is not right.")
WRONG_CODE = N_("This code is not right, or it was used before. Wait for the next one.")
WRONG_PASSKEY = N_("The passkey was not accepted. Try again, or sign in with your password.")
TOO_MANY = N_("Too many tries. Wait a few minutes, then try again. Your account is not locked.")
NOT_CURRENT = N_("This page was out of date, so nothing was checked. Type your password once more.")
# why she is asked to sign in, on the way back to an app's request
WHY = {
    "ended": N_("Your sign-in had ended before you answered. Nothing was decided, and what you had marked is kept."),
    "sensitive": N_("Some of this data is sensitive, so we make sure that it is you. What you had marked is kept."),
    "surer": N_(
        "This needs a surer sign-in: with a passkey, or with your password and a one-time code. If you have neither,"
        " set one up on the page Account first, then begin again in the app."
    ),
    "another": N_("The app asks for the account of another person. If that is you, sign out here and sign in with it."),
}
_TELL_FROM = 5  # failed tries before a sign-in that are worth telling; fewer are one's own slips

# ---- by password


def show_sign_in(ctx: Context) -> Response:
    """The form for signing in with a password; whoever has signed in is led on."""
    if ctx.caller and not is_again(ctx):
        return ctx.go(next_path(ctx))
    return _sign_in_page(ctx, _again_email(ctx, ctx.session))


def _again_email(ctx: Context, session: Session) -> str:
    person = accounts.get(session, ctx.person.person) if is_again(ctx) else None
    return person.email if person else ""


def _sign_in_page(ctx: Context, email: str, status: int = 200, wrong: str = "", wait: int = 0) -> Response:
    response = ctx.page(
        "people/sign_in.html",
        status,
        email=email,
        wrong=wrong,
        again=is_again(ctx),
        registered=ctx.query.get("registered") == "1",
        why=_why(ctx),
        here=onward(ctx, "/sign-in"),
        passkey=onward(ctx, "/sign-in/passkey"),
        register=onward(ctx, "/register"),
        back=next_path(ctx),
    )
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _why(ctx: Context) -> str:
    text = WHY.get(ctx.query.get("why", ""))
    return ctx.house.translations.of(ctx.language).gettext(text) if text else ""


def sign_in(ended: SignInsEnded, ctx: Context) -> Response | Later:
    """Check the password and sign in, or go on to the one-time code. 400 for a wrong one, 429 after too many tries."""
    house, password = ctx.house, ctx.form.get("password", "")
    with house.store.read() as session:
        written = _again_email(ctx, session) or ctx.form.get("email", "")
        email = accounts.clean_email(written) or ""
        person = accounts.find(session, email)
    counts = throttle.of(house)
    who = throttle.who_tries(house.keys, _known(ctx), email, person.id if person else None)
    try:
        counts.check("network", client_network(ctx.request, house.settings))
        counts.spend("account", who)
    except TooMany as error:
        return _sign_in_page(ctx, written, 429, TOO_MANY, error.retry_after)
    return Later("password", "", partial(_by_password, ended, ctx, person, email, written, password, who))


def _by_password(
    ended: SignInsEnded, ctx: Context, person: Person | None, email: str, written: str, password: str, who: str
) -> Response:
    house, counts, network = ctx.house, throttle.of(ctx.house), client_network(ctx.request, ctx.house.settings)
    kept = person.password_hash if person else None
    if not passwords.verify(kept, password) or person is None:
        counts.failed(email)
        try:
            counts.spend("network", network)
        except TooMany as error:
            return _sign_in_page(ctx, written, 429, TOO_MANY, error.retry_after)
        return _sign_in_page(ctx, written, 400, WRONG_PASSWORD)
    counts.forgive("account", who)
    anew = passwords.hash_(password) if kept and passwords.is_outdated(kept) else None
    with house.store.write() as session:
        house.log.turn(session, person.id)
        now_kept = accounts.get(session, person.id)
        if now_kept is None or now_kept.password_hash != kept:  # changed or closed while this request hashed
            return _sign_in_page(ctx, written, 400, WRONG_PASSWORD)
        try:
            counts.check_last("network", network, session)
        except TooMany as error:
            return _sign_in_page(ctx, written, 429, TOO_MANY, error.retry_after)
        now_kept.password_hash = anew or kept
        session.add(now_kept)
        return _enter(ended, ctx, session, now_kept, "pwd", complete=now_kept.totp_sealed is None)


def sign_in_outlived(ctx: Context) -> Response:
    """A sign-in form from before this visit or sign-in (`Door.outlived`). She has signed in in another tab and goes on,
    or gets the form once more. Nothing is checked.
    """
    email = accounts.clean_email(ctx.form.get("email", "")) or ""
    if ctx.caller is None:
        return _sign_in_page(ctx, ctx.form.get("email", ""), 403, NOT_CURRENT)
    with ctx.house.store.read() as session:
        person = accounts.find(session, email)
    if person is None or person.id != ctx.caller.person:  # whoever sent it means to be somebody else
        raise OldForm("csrf token")
    return ctx.go(next_path(ctx))


def step_outlived(ctx: Context) -> Response:
    """The same for the one-time code and the passkey, which name no account."""
    if ctx.caller is None:
        raise OldForm("csrf token")
    return ctx.go(next_path(ctx))


def _known(ctx: Context) -> str:
    return cookies.read(ctx.request, cookies.KNOWN, ctx.house.settings)


def _enter(
    ended: SignInsEnded, ctx: Context, session: Session, person: Person, methods: str, *, complete: bool = True
) -> Response:
    """Begin a sign-in. Its cookie replaces the one the browser had, and that sign-in ends."""
    house = ctx.house
    secret = fresh()
    series = sign_ins.take_place(session, ended, _cookie(ctx), person.id, ctx.now)
    sign_ins.begin(
        session,
        person,
        methods,
        secret=secret,
        settings=house.settings,
        now=ctx.now,
        browser=browser(ctx.request.headers.get("user-agent", "")),
        complete=complete,
        series=series,
    )
    ctx.set_cookies.append((cookies.SIGN_IN, secret, None))
    if not complete:
        return ctx.go(onward(ctx, "/sign-in/second"))
    tries = throttle.of(house).take_failed(person.email, session)
    if tries >= _TELL_FROM:
        house.log.record(session, Event("sign_in_failed", person.id, ctx.now, "system", {"tries": tries}))
    house.log.record(session, Event("sign_in", person.id, ctx.now, facts={"methods": methods.split()}))
    ctx.set_cookies.append((cookies.KNOWN, throttle.known_mark(house.keys, person.id, fresh(16)), cookies.YEAR))
    return ctx.go(next_path(ctx))


# ---- the second factor


def show_second(ctx: Context) -> Response:
    """The form for the one-time code, for a person whose password was right."""
    if sign_ins.owing_second_factor(ctx.session, _cookie(ctx), ctx.now) is None:
        return ctx.go(onward(ctx, "/sign-in"))
    return _second_page(ctx)


def _second_page(ctx: Context, status: int = 200, wrong: str = "") -> Response:
    return ctx.page("people/second.html", status, wrong=wrong, here=onward(ctx, "/sign-in/second"), back=next_path(ctx))


def second(ended: SignInsEnded, ctx: Context) -> Response:
    """Check the one-time code, or a recovery code, and sign in. 400 for a wrong one, 429 after too many tries."""
    house = ctx.house
    owing = sign_ins.owing_second_factor(ctx.session, _cookie(ctx), ctx.now)
    if owing is not None:
        house.log.turn(ctx.session, owing[1].id)
        owing = sign_ins.owing_second_factor(ctx.session, _cookie(ctx), ctx.now)
    if owing is None:
        return ctx.go(onward(ctx, "/sign-in"))
    _, person = owing
    counts = throttle.of(house)
    try:
        counts.spend("code", person.id, ctx.session)
    except TooMany as error:
        response = _second_page(ctx, 429, TOO_MANY)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    code = ctx.form.get("code", "")[:64]
    if totp.spend(ctx.session, house.keys, person, code, ctx.now):
        methods = "pwd otp"
    elif totp.spend_recovery(ctx.session, house.keys, person, code, ctx.now):
        methods = "pwd rcv"
    else:
        counts.failed(person.email, ctx.session)
        return _second_page(ctx, 400, WRONG_CODE)
    counts.forgive("code", person.id, ctx.session)
    return _enter(ended, ctx, ctx.session, person, methods)


def _cookie(ctx: Context) -> str:
    return cookies.read(ctx.request, cookies.SIGN_IN, ctx.house.settings)


# ---- by passkey


def show_passkey(ctx: Context) -> Response:
    """The page for signing in with a passkey. It needs JavaScript; the password does not."""
    if ctx.caller and not is_again(ctx):
        return ctx.go(next_path(ctx))
    return _passkey_page(ctx)


def _passkey_page(ctx: Context, status: int = 200, wrong: str = "") -> Response:
    asked = passkeys.begin_sign_in(_ceremony(ctx), fresh_bytes(), ctx.now)
    return ctx.page(
        "people/passkey.html",
        status,
        challenge=asked.sealed,
        options=asked.options,
        wrong=wrong,
        here=onward(ctx, "/sign-in/passkey"),
        password=onward(ctx, "/sign-in"),
    )


def _ceremony(ctx: Context) -> passkeys.Ceremony:
    return passkeys.Ceremony(ctx.house.keys, ctx.house.settings, "sign_in", ctx.csrf)


def passkey(ended: SignInsEnded, ctx: Context) -> Response:
    """Check the passkey's answer and sign in. 400 when it is not accepted, 429 after too many tries."""
    house, network = ctx.house, client_network(ctx.request, ctx.house.settings)
    counts = throttle.of(house)
    try:
        counts.check("network", network, ctx.session)
        return _by_passkey(ended, ctx, counts, network)
    except TooMany:
        return _passkey_page(ctx, 429, TOO_MANY)


def _by_passkey(ended: SignInsEnded, ctx: Context, counts: throttle.Throttle, network: str) -> Response:
    """Raises TooMany."""
    house, form = ctx.house, ctx.form
    word, answer = form.get("challenge", ""), form.get("answer", "")
    person = passkeys.recognise(ctx.session, house.log, _ceremony(ctx), word, answer, ctx.now)
    other = is_again(ctx) and person is not None and person.id != ctx.person.person
    if person is None or other:
        counts.spend("network", network, ctx.session)
        return _passkey_page(ctx, 400, WRONG_PASSKEY)
    counts.check_last("network", network, ctx.session)
    return _enter(ended, ctx, ctx.session, person, "hwk user")


# ---- out


def sign_out(ended: SignInsEnded, ctx: Context) -> Response:
    """Sign out. "Not you?" posts here as well, with a `next` that leads back to the same request."""
    leave(ended, ctx)
    return ctx.go(next_path(ctx))


def leave(ended: SignInsEnded, ctx: Context) -> None:
    """End the sign-in of this browser; what is shown next is for somebody who has not signed in."""
    if ctx.caller:
        sign_ins.sign_out(ctx.session, ctx.house.log, ended, ctx.caller, ctx.now)
    else:
        sign_ins.end_by_secret(ctx.session, ended, _cookie(ctx), ctx.now)
    ctx.set_cookies.append((cookies.SIGN_IN, "", 0))
    ctx.caller = None


def doors(ended: SignInsEnded) -> list[Door]:
    return [
        Door("/sign-in", show_sign_in, name="sign_in_page"),
        Door(
            "/sign-in",
            partial(sign_in, ended),
            methods=("POST",),
            name="sign_in",
            opens="none",
            outlived=sign_in_outlived,
        ),
        Door("/sign-in/second", show_second, name="second_page"),
        Door(
            "/sign-in/second",
            partial(second, ended),
            methods=("POST",),
            name="second",
            opens="write",
            outlived=step_outlived,
        ),
        Door("/sign-in/passkey", show_passkey, name="passkey_page"),
        Door(
            "/sign-in/passkey",
            partial(passkey, ended),
            methods=("POST",),
            name="passkey",
            opens="write",
            outlived=step_outlived,
        ),
        Door("/sign-out", partial(sign_out, ended), methods=("POST",), name="sign_out", opens="write"),
    ]
