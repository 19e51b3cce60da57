"""Doors that stop, pause or resume all sharings at once, each with a page that asks and a page with the result.

"All" are the sharings that the list shows as running: the person's own, and those of children under her guardianship.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from sqlmodel import Session
from starlette.responses import Response

from gateway import errors
from gateway.consent import deciding
from gateway.consent.actors import Actor
from gateway.consent.facts import SharingFacts
from gateway.consent.rules import Act, EndReason, State
from gateway.consent.tables import Consent
from gateway.consent.words import wording
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.ground.web.marks import N_
from gateway.log import Log
from gateway.sharings import reading
from gateway.sharings.cards import card
from gateway.sharings.reading import Sharing

Verb = Callable[[Session, Log, Consent, Actor, datetime], bool]


def _withdraw(session: Session, log: Log, consent: Consent, actor: Actor, now: datetime) -> bool:
    return deciding.end(session, log, consent, actor, EndReason.WITHDRAWN, now)


@dataclass(frozen=True, slots=True)
class Everything:
    """One act on all sharings, and the words of its two pages."""

    name: str  # as in /sharings/{name}-all
    act: Act  # the event it adds to each consent; the second page finds the consents by it
    verb: Verb
    states: tuple[State, ...]  # of the sharings it is for
    question: str
    effect: str
    none: str  # the text if there is no such sharing
    button: str
    done: str

    def concerns(self, sharing: Sharing) -> bool:
        return sharing.state in self.states and not (self.act is Act.RESUMED and sharing.held)


STOP = Everything(
    "stop", Act.ENDED, _withdraw, (State.ACTIVE, State.PAUSED),
    question=N_("Stop everything?"),
    effect=N_(
        "From now on we refuse every request of these apps. "
        "This cannot be taken back: an app would have to ask you again."
    ),
    none=N_("No sharing is active."),
    button=N_("Stop everything"),
    done=N_("Everything has been stopped"),
)  # fmt: skip
PAUSE = Everything(
    "pause", Act.PAUSED, deciding.pause, (State.ACTIVE,),
    question=N_("Pause everything?"),
    effect=N_("Until you resume a sharing, we refuse every request of its app."),
    none=N_("No sharing is active."),
    button=N_("Pause everything"),
    done=N_("Everything has been paused"),
)  # fmt: skip
RESUME = Everything(
    "resume", Act.RESUMED, deciding.resume, (State.PAUSED,),
    question=N_("Resume everything?"),
    effect=N_("From now on we answer these apps again, within what was agreed."),
    none=N_("No sharing is paused."),
    button=N_("Resume everything"),
    done=N_("Everything has been resumed"),
)  # fmt: skip
ALL = {each.name: each for each in (PAUSE, RESUME, STOP)}


def doors(facts: SharingFacts) -> list[Door]:
    paths = [(f"/sharings/{name}-all", everything) for name, everything in ALL.items()]
    asks = [Door(path, partial(ask, all_, facts), person=True, name=f"sharings_ask{path}") for path, all_ in paths]
    acts = [
        Door(path, partial(do, all_, facts), ("POST",), opens="write", person=True, name=f"sharings_do{path}")
        for path, all_ in paths
    ]
    return [*asks, *acts, Door("/sharings/done", partial(done, facts), person=True, name="sharings_done")]


def ask(everything: Everything, facts: SharingFacts, ctx: Context) -> Response:
    """The page that asks before all sharings are stopped, paused or resumed: it names them."""
    cards = [card(ctx, sharing) for sharing in _concerned(everything, facts, ctx)]
    return ctx.page("sharings/all.html", cards=cards, all=everything, say=wording(ctx))


def do(everything: Everything, facts: SharingFacts, ctx: Context) -> Response:
    """Stop, pause or resume all that she and the children she decides for share."""
    for sharing in _concerned(everything, facts, ctx):
        everything.verb(ctx.session, ctx.house.log, sharing.consent, sharing.actor, ctx.now)
    return ctx.go(f"/sharings/done?what={everything.name}&at={quote(ctx.now.isoformat(), safe='')}")


def _concerned(everything: Everything, facts: SharingFacts, ctx: Context) -> list[Sharing]:
    return [sharing for sharing in _every(facts, ctx) if everything.concerns(sharing)]


def _every(facts: SharingFacts, ctx: Context) -> list[Sharing]:
    house, reader = ctx.house, ctx.person.person
    return reading.all_of(ctx.session, house.log, house.settings, facts, reader, ctx.now, counting=False)


def done(facts: SharingFacts, ctx: Context) -> Response:
    """The page with the result, read from the events of that instant."""
    everything = ALL.get(ctx.query.get("what", ""))
    try:
        at = datetime.fromisoformat(ctx.query.get("at", ""))
    except ValueError:
        raise errors.NotFound from None
    if everything is None or at.tzinfo is None or not 1970 < at.year < 9000:
        raise errors.NotFound
    every = _every(facts, ctx)
    ids = reading.acted_at(ctx.session, everything.act, at, [sharing.consent.id for sharing in every])
    cards = [card(ctx, sharing) for sharing in every if sharing.consent.id in ids]
    return ctx.page("sharings/done.html", cards=cards, all=everything, at=at, say=wording(ctx))
