"""/end-session: an app asks that a person be signed out here (OpenID Connect RP-Initiated Logout 1.0).

1. what the app sent is read, and sealed where it has to come back by way of the browser
2. whoever is meant by an ID token of ours, and is signed in by the very sign-in it names, is signed out at once
3. everybody else who is signed in is asked first (§2 and §6): an ID token of another person, or of an earlier sign-in,
   says nothing of the one who sits here now, and without one anybody may have made the link
4. the way leads on to the app only with an ID token of ours for it, to an address that it registered, and on a page
   (see pages.py); whatever is wrong with one of these, it ends here

Apps send forms from their own pages; a browser leaves out our cookie there, and so a POST goes on as a GET.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from urllib.parse import quote, urlencode

from starlette.responses import Response

from gateway.apps import addresses
from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import hints, id_tokens, parameters, rules
from gateway.authorization.endpoints import END_SESSION
from gateway.authorization.protocol import note
from gateway.authorization.rules import Refused
from gateway.authorization.subjects import subject
from gateway.ground.keys import same
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door
from gateway.ground.web.languages import choose_language

Leave = Callable[[Context], None]  # ends the sign-in of this browser; handed in by the composition root
# What is wrong with what the app sent, as the person reads it. Keys: `LogoutAsked.wrong`.
PROBLEMS = {
    "": "",
    "hint": "The app did not show that it is the one you signed in to. You will stay here.",
    "address": "The app did not name an address that it registered. You will stay here.",
    "malformed": "The link from the app is not of the right form. You will stay here.",
}


@dataclass(frozen=True, slots=True)
class LogoutAsked:
    """What an app asked for, as far as it is good."""

    client_id: str = ""  # of the ID token; "": there is no good one
    sub: str = ""
    sid: str = ""
    to: str = ""  # where to go on; "": nowhere
    state: str = ""
    ui_locales: str = ""
    wrong: str = ""  # a key of PROBLEMS


def doors(leave: Leave) -> list[Door]:
    return [
        Door(END_SESSION.path, partial(end_session, leave), opens="write", name="end_session"),
        # an app may send its request as a form of its own; nothing is decided by it
        Door(END_SESSION.path, take_form, ("POST",), csrf=False, name="end_session_form"),
        Door(
            f"{END_SESSION.path}/sign-out",
            partial(confirmed, leave),
            ("POST",),
            opens="write",
            outlived=ask_again,
            name="end_session_confirmed",
        ),
    ]


def end_session(leave: Leave, ctx: Context) -> Response:
    """Sign a person out because an app asks for it, after a question unless it shows an ID token of her sign-in; then
    back to the app (OpenID Connect RP-Initiated Logout 1.0)."""
    asked = _returned(ctx, ctx.query["asked"]) if "asked" in ctx.query else _read(ctx)  # 1
    _speak(ctx, asked)
    if ctx.caller is not None and not _is_meant(ctx, ctx.caller, asked):
        return _question(ctx, asked, ctx.caller)  # 3
    if ctx.caller is not None:
        leave(ctx)  # 2
    return _left(ctx, asked)


def take_form(ctx: Context) -> Response:
    """The same from a form of the app's own: the browser comes back by GET, so that it brings our cookie."""
    return ctx.go(_address(ctx, _read(ctx)))


def confirmed(leave: Leave, ctx: Context) -> Response:
    """She has said that she wants to be signed out."""
    asked = _returned(ctx, ctx.form.get("asked", ""))
    _speak(ctx, asked)
    leave(ctx)
    return _left(ctx, asked)


def ask_again(ctx: Context) -> Response:
    """Her answer came after the sign-in of its page had ended (`Door.outlived`): nothing is done for it."""
    return ctx.go(_address(ctx, _returned(ctx, ctx.form.get("asked", ""))))


# ---- what is asked


def _read(ctx: Context) -> LogoutAsked:
    """What the app sent, in the address or a form. It is checked here, once."""
    try:
        given = ctx.form_lists if ctx.request.method == "POST" else ctx.query_lists
        sent = parameters.given(ctx, parameters.END_SESSION, given)
    except Refused as refused:
        note(ctx, refused)
        return LogoutAsked(wrong="malformed")
    locales = sent.get("ui_locales", "")[:100]
    if len(sent.get("state", "")) > rules.LOGOUT_STATE_LIMIT or "\ufffd" in "".join(sent.values()):
        return LogoutAsked(ui_locales=locales, wrong="malformed")
    text, to, house = sent.get("id_token_hint", ""), sent.get("post_logout_redirect_uri", ""), ctx.house
    hint = hints.read(text, house.keys, house.settings.public_url, ctx.now.timestamp()) if text else None
    if hint is None or sent.get("client_id", hint.client_id) != hint.client_id:
        return LogoutAsked(ui_locales=locales, wrong="hint" if text or to else "")
    asked = LogoutAsked(hint.client_id, hint.sub, hint.sid, ui_locales=locales)
    if not to:
        return asked
    app = ctx.session.get(App, hint.client_id)
    if app is None or not _is_registered(app, to):
        return LogoutAsked(hint.client_id, hint.sub, hint.sid, ui_locales=locales, wrong="address")
    return LogoutAsked(hint.client_id, hint.sub, hint.sid, to, sent.get("state", ""), locales)


def _is_registered(app: App, to: str) -> bool:
    client = registration(app)
    return client.active and addresses.matches(to, client.post_logout_redirect_uris, native=client.native)


def _address(ctx: Context, asked: LogoutAsked) -> str:
    """The same request as an address of ours. What was checked cannot be changed on the way."""
    return f"{END_SESSION.path}?" + urlencode({"asked": _sealed(ctx, asked)})


def _sealed(ctx: Context, asked: LogoutAsked) -> str:
    given = {name: value for name, value in asdict(asked).items() if value}
    return ctx.house.keys.sealer("end-session").seal(json.dumps(given))


def _returned(ctx: Context, sealed: str) -> LogoutAsked:
    opened = ctx.house.keys.sealer("end-session").open(sealed)
    if opened is None:
        return LogoutAsked(wrong="malformed")
    asked = LogoutAsked(**json.loads(opened))
    app = ctx.session.get(App, asked.client_id)
    if asked.to and (app is None or not _is_registered(app, asked.to)):  # any more
        return LogoutAsked(asked.client_id, asked.sub, asked.sid, ui_locales=asked.ui_locales, wrong="address")
    return asked


def _speak(ctx: Context, asked: LogoutAsked) -> None:
    preferred = ctx.caller.language if ctx.caller else None
    ctx.language = choose_language(ctx.request, ctx.house.settings, preferred, asked.ui_locales)


# ---- what is answered


def _is_meant(ctx: Context, caller: Caller, asked: LogoutAsked) -> bool:
    """Whether the ID token is of the very sign-in of the one who sits here, and nothing else is odd."""
    if asked.wrong or not _is_known(ctx, caller, asked):
        return False
    return same(asked.sid, id_tokens.sid(ctx.house.keys, caller.in_series, asked.client_id))


def _is_known(ctx: Context, caller: Caller, asked: LogoutAsked) -> bool:
    """Whether the ID token is of the one who sits here."""
    app = ctx.session.get(App, asked.client_id)
    return app is not None and same(asked.sub, subject(ctx.house.keys, caller.person, registration(app)))


def _question(ctx: Context, asked: LogoutAsked, caller: Caller) -> Response:
    other = bool(asked.client_id) and not _is_known(ctx, caller, asked)
    return ctx.page(
        "authorization/sign_out.html",
        problem=PROBLEMS[asked.wrong],
        app_name=_app_name(ctx, asked),
        other=other,
        place=addresses.place(asked.to) if asked.to else "",
        asked=_sealed(ctx, asked),
        return_to=_address(ctx, asked),
    )


def _left(ctx: Context, asked: LogoutAsked) -> Response:
    """Nobody is signed in here any more; on to the app where it may be."""
    return ctx.page(
        "authorization/signed_out.html",
        problem=PROBLEMS[asked.wrong],
        app_name=_app_name(ctx, asked),
        target=_target(asked),  # 4
        place=addresses.place(asked.to) if asked.to else "",
        return_to=_address(ctx, asked),
    )


def _app_name(ctx: Context, asked: LogoutAsked) -> str:
    app = ctx.session.get(App, asked.client_id)
    return view(app).name[ctx.language] if app else ""


def _target(asked: LogoutAsked) -> str:
    """The app's address with its state, as it sent it (§3). A query in the address is kept byte for byte."""
    if not asked.state:
        return asked.to
    return asked.to + ("&" if "?" in asked.to else "?") + urlencode({"state": asked.state}, quote_via=quote)
