"""Doors of a person's own account: details, and ways to sign in.

A change of how the person signs in needs a recent sign-in.
"""

import binascii
from functools import partial

from sqlmodel import col, select
from starlette.responses import Response

from gateway.errors import BadRequest, NotFound, TooMany, Unavailable
from gateway.ground.calendar.ages import is_minor
from gateway.ground.keys import same
from gateway.ground.keys.jose import decoded, encoded
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later
from gateway.ground.web.marks import N_
from gateway.people import accounts, passkeys, passwords, sign_ins, throttle, totp
from gateway.people.sign_in_pages import TOO_MANY, WRONG_CODE, WRONG_PASSKEY
from gateway.people.sign_ins import SignInsEnded
from gateway.people.steps import account, chosen_language, recently, today
from gateway.people.tables import Person, RecoveryCode
from gateway.people.words import METHODS

DONE = {
    "details": N_("Your details are saved."),
    "password": N_("Your password is changed. You were signed out everywhere else."),
    "codes_off": N_("One-time codes are switched off."),
    "passkey": N_("Your passkey is added. You can sign in with it from now on."),
    "passkey_removed": N_("The passkey is removed."),
    "sign_in": N_("This sign-in is ended."),
    "sign_ins": N_("All other sign-ins are ended."),
}
WRONG_PASSWORD = N_("This is not your present password.")
LAST_WAY_IN = N_("This passkey is your only way to sign in. Set a password first.")


def show(ctx: Context) -> Response:
    """A person's account: details, ways to sign in, and where she has signed in."""
    person = account(ctx)
    keys, settings = ctx.house.keys, ctx.house.settings
    codes = select(RecoveryCode).where(RecoveryCode.person_id == person.id, col(RecoveryCode.spent_at).is_(None))
    guardian = accounts.get(ctx.session, person.guardian_id) if person.guardian_id else None
    return ctx.page(
        "people/account.html",
        person=person,
        done=DONE.get(ctx.query.get("done", ""), ""),
        minor=is_minor(person.birth_date, today(ctx), settings.majority_age),
        guardian=guardian.name if guardian else "",
        children=[child.name for child in accounts.children(ctx.session, person.id)],
        codes_left=len(ctx.session.exec(codes).all()),
        passkeys=passkeys.of_person(ctx.session, person.id),
        sign_ins=[
            {
                "handle": sign_ins.handle(keys, row),
                "browser": row.browser,
                "at": row.at,
                "seen_at": max(row.seen_at, row.at),
                "how": METHODS[row.methods],
                "here": row.id == ctx.person.sign_in,
            }
            for row in sign_ins.of_person(ctx.session, person.id, ctx.now)
        ],
    )


# ---- details


def show_details(ctx: Context) -> Response:
    """The form for name, language and date of birth."""
    person = account(ctx)
    born = person.birth_date.isoformat() if person.birth_date else ""
    return _details_page(ctx, person, {"name": person.name, "language": person.language, "birth_date": born}, {})


def _details_page(ctx: Context, person: Person, written: dict[str, str], wrong: dict[str, str]) -> Response:
    return ctx.page(
        "people/details.html",
        400 if wrong else 200,
        person=person,
        written=written,
        wrong=wrong,
        today=today(ctx).isoformat(),
        majority_age=ctx.house.settings.majority_age,
    )


def save_details(ctx: Context) -> Response:
    """Keep name and language, and the date of birth if there was none. 400 with the form for what is to be mended."""
    person = account(ctx)
    draft, wrong = accounts.draft({**ctx.form, "email": person.email}, today(ctx))
    if draft is None:
        written = {name: ctx.form.get(name, "") for name in ("name", "language", "birth_date")}
        return _details_page(ctx, person, written, wrong)
    person.name, person.language = draft.name, chosen_language(ctx)
    # It can be set only once, so that a child cannot become of age by editing it. The operator can correct it.
    if draft.birth_date and person.birth_date is None:
        person.birth_date = draft.birth_date
    ctx.session.add(person)
    return _done(ctx, "details")


def _done(ctx: Context, what: str) -> Response:
    return ctx.go(f"/account?done={what}")


# ---- password


def show_password(ctx: Context) -> Response:
    """The form for another password; asks for a new sign-in first when the last one is not recent."""
    return recently(ctx) or _password_page(ctx, account(ctx), {})


def _password_page(ctx: Context, person: Person, wrong: dict[str, str], status: int = 200) -> Response:
    return ctx.page("people/password.html", status, person=person, wrong=wrong)


def save_password(ended: SignInsEnded, ctx: Context) -> Response | Later:
    """Change the password and end all other sign-ins. 400 for a wrong old or weak new one, 429 after too many tries."""
    again = recently(ctx)
    if again:
        return again
    house = ctx.house
    with house.store.read() as session:
        person = accounts.get(session, ctx.person.person)
    if person is None:
        raise NotFound
    old, kept = ctx.form.get("old", ""), person.password_hash
    counts = throttle.of(house)
    try:
        counts.spend("account", f"own {person.id}")
    except TooMany as error:
        response = _password_page(ctx, person, {"old": TOO_MANY}, 429)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    return Later("password", "", partial(_change_password, ended, ctx, person, old, kept))


def _change_password(ended: SignInsEnded, ctx: Context, person: Person, old: str, kept: str | None) -> Response:
    house, counts = ctx.house, throttle.of(ctx.house)
    wrong = {}
    if kept and not passwords.verify(kept, old):
        wrong["old"] = WRONG_PASSWORD
    weak = passwords.weakness(ctx.form.get("password", ""), (person.name, person.email))
    if weak:
        wrong["password"] = weak
    if wrong:
        return _password_page(ctx, person, wrong, 400)
    counts.forgive("account", f"own {person.id}")
    hashed = passwords.hash_(ctx.form["password"])
    with house.store.write() as session:
        house.log.turn(session, person.id)
        row = accounts.get(session, person.id)
        if row is None or row.password_hash != kept:  # changed by another request while this one hashed
            return _password_page(ctx, person, {"old": WRONG_PASSWORD}, 400)
        accounts.change_password(session, house.log, row, hashed, ctx.now)
        sign_ins.end_all(session, ended, person.id, ctx.now, but=ctx.person.sign_in)
    return _done(ctx, "password")


# ---- one-time codes


def show_codes(ctx: Context) -> Response:
    """The page that sets up one-time codes (TOTP, RFC 6238), with the picture to scan."""
    again = recently(ctx)
    if again:
        return again
    person = account(ctx)
    if person.totp_sealed is not None:
        return ctx.go("/account")
    return _codes_page(ctx, person, totp.encoded(fresh_bytes(20)))


def _codes_page(ctx: Context, person: Person, secret: str, wrong: str = "") -> Response:
    link = totp.address(secret, person.email, ctx.house.settings.operator_name)
    return ctx.page(
        "people/codes.html",
        400 if wrong else 200,
        picture=totp.picture(link),
        spelled=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        carried=encoded(ctx.house.keys.seal(secret.encode(), _setup(ctx))),
        wrong=wrong,
    )


def _setup(ctx: Context) -> str:
    """The sealing context of a secret that travels through the form: only this sign-in can send it back."""
    return f"totp-setup:{ctx.person.sign_in}"


def codes_on(ended: SignInsEnded, ctx: Context) -> Response:
    """Switch one-time codes on once a first one is right, and show the recovery codes. 400 for a wrong one."""
    again = recently(ctx)
    if again:
        return again
    person, keys = account(ctx), ctx.house.keys
    if person.totp_sealed is not None:
        return ctx.go("/account")
    try:
        secret = keys.open(decoded(ctx.form.get("carried", "")), _setup(ctx)).decode()
    except (Unavailable, ValueError, binascii.Error):
        return _codes_page(ctx, person, totp.encoded(fresh_bytes(20)), WRONG_CODE)
    step = totp.step_of(secret, ctx.form.get("code", "")[:64], ctx.now)
    if step is None:
        return _codes_page(ctx, person, secret, WRONG_CODE)
    chance = [fresh_bytes(10) for _ in range(totp.RECOVERY_CODES)]
    codes = totp.switch_on(ctx.session, keys, ctx.house.log, person, secret, step, chance, ctx.now)
    sign_ins.end_all(ctx.session, ended, person.id, ctx.now, but=ctx.person.sign_in)
    return ctx.page("people/recovery.html", codes=codes)


def codes_off(ctx: Context) -> Response:
    """Switch one-time codes off, after a recent sign-in."""
    again = recently(ctx)
    if again:
        return again
    totp.switch_off(ctx.session, ctx.house.log, account(ctx), ctx.now)
    return _done(ctx, "codes_off")


# ---- passkeys


def show_passkey(ctx: Context) -> Response:
    """The page that adds a passkey (WebAuthn), after a recent sign-in."""
    return recently(ctx) or _passkey_page(ctx, account(ctx))


def _passkey_page(ctx: Context, person: Person, wrong: str = "") -> Response:
    asked = passkeys.begin_adding(ctx.session, _ceremony(ctx), person, fresh_bytes(), ctx.now)
    values = {"challenge": asked.sealed, "options": asked.options, "wrong": wrong}
    return ctx.page("people/add_passkey.html", 400 if wrong else 200, **values)


def _ceremony(ctx: Context) -> passkeys.Ceremony:
    return passkeys.Ceremony(ctx.house.keys, ctx.house.settings, "register", ctx.csrf)


def add_passkey(ctx: Context) -> Response:
    """Keep a new passkey, under the name she gave it. 400 when it is not accepted."""
    again = recently(ctx)
    if again:
        return again
    person, form = account(ctx), ctx.form
    name = accounts.clean_name(form.get("name", "")) or ""
    word, answer = form.get("challenge", ""), form.get("answer", "")
    added = passkeys.add(ctx.session, ctx.house.log, _ceremony(ctx), person, word, answer, name, ctx.now)
    return _done(ctx, "passkey") if added else _passkey_page(ctx, person, WRONG_PASSKEY)


def remove_passkey(ctx: Context) -> Response:
    """Remove one of her passkeys. 400 when it is her last way to sign in."""
    again = recently(ctx)
    if again:
        return again
    person = account(ctx)
    if person.password_hash is None and len(passkeys.of_person(ctx.session, person.id)) == 1:
        raise BadRequest("last passkey", say=LAST_WAY_IN)
    if not passkeys.remove(ctx.session, ctx.house.log, person.id, ctx.form.get("passkey", ""), ctx.now):
        raise NotFound
    return _done(ctx, "passkey_removed")


# ---- own sign-ins


def end_sign_in(ended: SignInsEnded, ctx: Context) -> Response:
    """End the sign-in of the given handle, or with "others" all sign-ins but this one."""
    wanted, caller = ctx.form.get("sign_in", ""), ctx.person
    if wanted == "others":
        sign_ins.end_all(ctx.session, ended, caller.person, ctx.now, but=caller.sign_in)
        return _done(ctx, "sign_ins")
    for row in sign_ins.of_person(ctx.session, caller.person, ctx.now):
        if same(sign_ins.handle(ctx.house.keys, row), wanted):
            sign_ins.end(ctx.session, ended, row, ctx.now)
            return _done(ctx, "sign_in")
    raise NotFound


def doors(ended: SignInsEnded) -> list[Door]:
    return [
        Door("/account", show, person=True, name="account"),
        Door("/account/details", show_details, person=True, name="details_page"),
        Door("/account/details", save_details, methods=("POST",), person=True, opens="write"),
        Door("/account/password", show_password, person=True, name="password_page"),
        Door(
            "/account/password",
            partial(save_password, ended),
            methods=("POST",),
            person=True,
            name="save_password",
            opens="none",
        ),
        Door("/account/codes", show_codes, person=True, name="codes_page"),
        Door(
            "/account/codes", partial(codes_on, ended), methods=("POST",), person=True, name="codes_on", opens="write"
        ),
        Door("/account/codes/off", codes_off, methods=("POST",), person=True, opens="write"),
        Door("/account/passkeys/add", show_passkey, person=True, name="add_passkey_page"),
        Door("/account/passkeys/add", add_passkey, methods=("POST",), person=True, opens="write"),
        Door("/account/passkeys/remove", remove_passkey, methods=("POST",), person=True, opens="write"),
        Door(
            "/account/sign-ins/end",
            partial(end_sign_in, ended),
            methods=("POST",),
            person=True,
            name="end_sign_in",
            opens="write",
        ),
    ]
