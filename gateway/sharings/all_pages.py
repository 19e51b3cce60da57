"""Doors of all sharings at once: stop and pause everything, with a page that asks and a page that tells."""

from datetime import datetime
from functools import partial
from urllib.parse import quote

from starlette.responses import Response

from gateway import errors
from gateway.consent import deciding
from gateway.consent.facts import Facts
from gateway.consent.rules import Act, EndReason, State
from gateway.consent.words import wording
from gateway.ground.web.doors import Context, Door
from gateway.sharings import reading
from gateway.sharings.cards import card
from gateway.sharings.reading import Sharing


def doors(facts: Facts) -> list[Door]:
    table = (
        ("GET", "/sharings/stop-all", confirm_all),
        ("POST", "/sharings/stop-all", stop_all),
        ("GET", "/sharings/pause-all", confirm_all),
        ("POST", "/sharings/pause-all", pause_all),
        ("GET", "/sharings/done", done),
    )
    return [
        Door(
            path,
            partial(handler, facts),
            (method,),
            opens="write" if method == "POST" else "read",
            person=True,
            name=f"sharings_{handler.__name__}",
        )
        for method, path, handler in table
    ]


def _is_stop(ctx: Context) -> bool:
    return ctx.request.url.path.endswith("/stop-all")


def _own_running(facts: Facts, ctx: Context, *states: State) -> list[Sharing]:
    every = reading.all_of(ctx.session, ctx.house, facts, ctx.person.person, ctx.now)
    return [sharing for sharing in every if sharing.mine and sharing.state in states]


def confirm_all(facts: Facts, ctx: Context) -> Response:
    states = (State.ACTIVE, State.PAUSED) if _is_stop(ctx) else (State.ACTIVE,)
    cards = [card(ctx, sharing) for sharing in _own_running(facts, ctx, *states)]
    return ctx.page("sharings/all.html", cards=cards, stop=_is_stop(ctx), say=wording(ctx))


def stop_all(facts: Facts, ctx: Context) -> Response:
    for sharing in _own_running(facts, ctx, State.ACTIVE, State.PAUSED):
        deciding.end(ctx.session, ctx.house, sharing.consent, sharing.actor, EndReason.WITHDRAWN, ctx.now)
    return ctx.go(f"/sharings/done?what=stopped&at={quote(ctx.now.isoformat(), safe='')}")


def pause_all(facts: Facts, ctx: Context) -> Response:
    for sharing in _own_running(facts, ctx, State.ACTIVE):
        deciding.pause(ctx.session, ctx.house, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/done?what=paused&at={quote(ctx.now.isoformat(), safe='')}")


def done(facts: Facts, ctx: Context) -> Response:
    """The result of one act on many: read back from the events of that instant."""
    try:
        at = datetime.fromisoformat(ctx.query.get("at", ""))
    except ValueError:
        raise errors.NotFound from None
    if at.tzinfo is None or not 1970 < at.year < 9000:
        raise errors.NotFound
    is_stop = ctx.query.get("what") == "stopped"
    every = reading.all_of(ctx.session, ctx.house, facts, ctx.person.person, ctx.now)
    among = [sharing.consent.id for sharing in every]
    ids = reading.acted_at(ctx.session, Act.ENDED if is_stop else Act.PAUSED, at, among)
    cards = [card(ctx, sharing) for sharing in every if sharing.consent.id in ids]
    return ctx.page("sharings/done.html", cards=cards, stop=is_stop, at=at, say=wording(ctx))
