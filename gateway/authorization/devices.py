"""Apps without a browser (RFC 8628): a television, a command line. The person answers in a browser of her own.

The app shows a short code and the address of our page for it. Whoever types the code there is led through the very same
steps as after a link. Meanwhile the app asks again and again at the token endpoint.

    user code    34 bits, kept nowhere: the secret of the request follows from it by a keyed MAC
    device code  of 256 bits, for the app alone (polling.py): nobody who has the user code can poll with it

Somebody could send a code of an app of his own to another person, and wait for her to let it in (RFC 8628 §5.4). So the
page says whose codes to type, nothing is agreed to without the whole screen, and a wrong code counts.
"""

from datetime import datetime, timedelta

from sqlmodel import Session
from starlette.responses import Response

from gateway.apps.tables import App
from gateway.authorization import polling, rules
from gateway.authorization.requests import Checked, kept, resume_path
from gateway.authorization.tables import AuthorizationRequest
from gateway.errors import TooMany
from gateway.ground.http.peers import client_network
from gateway.ground.keys import KeyRing, hashed, opaque
from gateway.ground.store.together import AtMost, Tries
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.marks import N_
from gateway.house import House

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words; nothing that is read as something else (RFC 8628 §6.1)
LENGTH = 8
SECONDS = 900
WRONG = AtMost(10, 10 * 60)  # wrong codes of one network

_WRONG = N_("This code is not known, or its time is over. Look at your device again.")
_TOO_MANY = N_("Too many wrong codes. Wait a few minutes, then try again.")


# ---- the app


def begin(session: Session, house: House, checked: Checked, now: datetime) -> dict[str, object]:
    """Keep a request; what the app is told (RFC 8628 §3.2)."""
    code = opaque.letters(LENGTH, LETTERS)
    row = kept(checked, _secret(house.keys, code), now, SECONDS)
    device_code = polling.begin(row, polling.DEVICE, house.keys, now + timedelta(seconds=SECONDS))
    session.add(row)
    session.flush()
    shown, page = f"{code[:4]}-{code[4:]}", f"{house.settings.public_url}/device"
    return {
        "device_code": device_code,
        "user_code": shown,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={shown}",
        "expires_in": SECONDS,
        "interval": polling.INTERVAL,
    }


def _secret(keys: KeyRing, code: str) -> str:
    """Of the request's request_uri."""
    return keys.mac("device request", code)


# ---- the person


def show(ctx: Context) -> Response:
    """The page on which a person types the code that her device shows."""
    return _page(ctx, ctx.query.get("user_code", "")[: 2 * LENGTH])


def enter(ctx: Context) -> Response:
    """Look a code up, and lead on to the app's request; 400 for a wrong one, 429 after too many."""
    typed = ctx.form.get("user_code", "")
    code = "".join(letter for letter in typed.upper() if letter.isalnum())
    tries = Tries(ctx.house.store, ctx.house.clock)
    who = ctx.house.keys.mac("device tries", client_network(ctx.request, ctx.house.settings))
    wait = tries.wait((WRONG,), who, ctx.session)
    if wait:
        return _page(ctx, "", 429, _TOO_MANY, wait)
    row = ctx.session.get(AuthorizationRequest, hashed(_secret(ctx.house.keys, code))) if len(code) == LENGTH else None
    app = ctx.session.get(App, row.client_id) if row else None
    over = row is None or row.kind != polling.DEVICE or row.outcome or row.code_expires_at is None
    if row is None or app is None or over or (row.code_expires_at or ctx.now) <= ctx.now:
        if tries.hit((WRONG,), who, ctx.session):
            raise TooMany("device codes")
        return _page(ctx, "", 400, _WRONG)
    return ctx.go(resume_path(app.client_id, rules.REQUEST_URI + _secret(ctx.house.keys, code)))


def _page(ctx: Context, code: str, status: int = 200, wrong: str = "", wait: int = 0) -> Response:
    response = ctx.page("authorization/device.html", status, code=code, wrong=wrong)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


DOORS = [
    Door("/device", show, ("GET",), name="device"),
    Door("/device", enter, ("POST",), opens="write", name="device_enter"),
]
