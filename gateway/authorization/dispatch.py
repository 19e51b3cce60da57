"""What comes next for an authorization request.

`standing` reads the facts, `next_step` decides. Every page of the flow returns to
/authorize, and only `next_step` says which page follows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from gateway.authorization import asked, openid
from gateway.authorization.rules import Step
from gateway.authorization.tables import AuthorizationRequest
from gateway.catalogue import Catalogue, SignInNeeded
from gateway.catalogue.sign_ins import TOO_WEAK, acr, strictest
from gateway.consent import asking, deciding, granting
from gateway.consent.facts import AppView, Facts, PersonFacts
from gateway.consent.itself import ITSELF
from gateway.consent.request import Ask
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.errors import Forbidden
from gateway.ground.store import found
from gateway.ground.web.context import Caller
from gateway.house import House
from gateway.organisations import links, views
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class StepFacts:
    """The facts about one request and the person who has opened it, as they are now."""

    state: str = ""  # of its consent; "" when none has been opened
    live: bool = False
    unlinked: tuple[str, ...] = ()  # organisations asked for that the person has no link with
    needs_guardian: bool = False  # the person signed in is under age and asked for her own data
    sensitive: bool = False
    unmet: str = ""  # the error, if there must be another sign-in than this one
    weak: bool = False  # it is less sure than some type of data needs that is asked for
    max_age: int | None = None  # seconds, of the type of data that needs the latest sign-in
    of_ward: bool = False  # the app is to sign in the person, and her guardian is the caller


def next_step(
    row: AuthorizationRequest, caller: Caller | None, facts: StepFacts, settings: Settings, now: datetime
) -> Step:
    if caller is None:
        return Step.SIGN_IN
    if not _recent_enough(row, caller, facts.max_age, settings, now):
        return Step.SIGN_IN_AGAIN
    if (facts.unmet or facts.weak) and before_opening(row, caller):
        return Step.SIGN_IN_AGAIN
    if facts.unmet:
        return Step.UNMET
    if facts.state == State.ACTIVE and facts.live:
        return Step.HAND_OVER if facts.of_ward else Step.ISSUE
    if facts.state not in (State.REQUESTED, ""):
        return Step.REFUSED
    if facts.sensitive and now - caller.auth_time > timedelta(minutes=settings.recent_minutes):
        return Step.SIGN_IN_AGAIN
    if facts.unlinked:
        return Step.LINK
    return Step.GUARDIAN_NEEDED if facts.needs_guardian else Step.CONSENT


def before_opening(row: AuthorizationRequest, caller: Caller) -> bool:
    """Whether she had signed in when the request was first opened: she may sign in otherwise, once."""
    return caller.auth_time < (row.opened_at or row.created_at)


def _recent_enough(
    row: AuthorizationRequest, caller: Caller, needed: int | None, settings: Settings, now: datetime
) -> bool:
    """prompt=login and max_age (OpenID Connect Core §3.1.2.1), and what the data needs. The age of the sign-in is
    measured when the request is first opened, so that nobody must sign in again for reading the screen slowly; of one
    that waits in an inbox, which she may open early and answer late, each time."""
    opened = row.opened_at or row.created_at
    if asked.is_asked(row):
        opened = max(opened, now - timedelta(minutes=settings.recent_minutes))
    if "login" in row.prompt.split() or row.max_age == 0:
        return caller.auth_time >= opened
    if asked.is_asked(row):
        opened = now
    ages = [age for age in (row.max_age, needed) if age is not None]
    return all(caller.auth_time >= opened - timedelta(seconds=age) for age in ages)


def standing(
    session: Session,
    catalogue: Catalogue,
    consent: Consent | None,
    ask: Ask,
    person: PersonFacts,
    caller: Caller,
    now: datetime,
) -> StepFacts:
    """`person`: whose data is asked for. `caller`: this person or her guardian."""
    linked = links.of_person(session, person.id)
    everything, required = _needed(session, catalogue, ask)
    how = acr(caller.methods), int(caller.auth_time.timestamp()), now.timestamp()
    return StepFacts(
        state=consent.state if consent else "",
        live=consent is not None and deciding.is_live(consent, now),
        unlinked=tuple(name for name in ask.required_organisations() if name not in linked and name != ITSELF),
        needs_guardian=person.minor and person.id == caller.person,
        sensitive=any(item.sensitivity != "none" for item in ask.items),
        unmet="unmet_authentication_requirements" if required and required.lacks(*how) == TOO_WEAK else "",
        weak=everything is not None and everything.lacks(*how) == TOO_WEAK,
        max_age=everything.max_age if everything else None,
    )


def _needed(session: Session, catalogue: Catalogue, ask: Ask) -> tuple[SignInNeeded | None, SignInNeeded | None]:
    """The sign-in that all of this data needs, and the part without which nothing is agreed: with a lesser one she
    would agree to what no token opens (RFC 9470)."""
    places = {name: views.view(session, name) for name in ask.organisations()}
    found = [(item.necessity, catalogue.of(places[item.organisation], item.dataset)) for item in ask.items]
    every = [(necessity, dataset.sign_in) for necessity, dataset in found if dataset is not None]
    required = [sign_in for necessity, sign_in in every if necessity == "required"]
    return strictest(sign_in for _, sign_in in every), strictest(required)


def signing_in(facts: StepFacts, row: AuthorizationRequest, person: PersonFacts, caller: Caller, sub: str) -> StepFacts:
    """These facts with the app's own conditions, and for an ID token too: it says of the person whom it names that it
    was she who signed in, when, and how (OpenID Connect Core §2). Her guardian agrees for her, but is not her.

    `sub`: as the app knows `person`."""
    if openid.OPENID in row.scope.split() and person.id != caller.person:
        return replace(facts, of_ward=True)
    return replace(facts, unmet=openid.unmet(row.claims, sub, acr(caller.methods)) or facts.unmet)


def take(
    session: Session, house: House, row: AuthorizationRequest, caller: Caller, app: AppView, new_id: str, now: datetime
) -> Consent:
    """Give an undecided request to another person, who has opened it in turn: the caller gets a consent of her own,
    and the one that the first person was asked for lapses. Raises Forbidden when the first person has decided.

    A request to change a grant stays with the person whose grant it is; the caller may be her guardian."""
    before = session.get(Consent, row.consent_id) if row.consent_id else None
    if asked.is_asked(row) or before and (before.state != State.REQUESTED or row.outcome):
        raise Forbidden("request of another person", say="This request was answered by somebody else.")
    if before:
        asking.lapse(session, house.log, before, now)
    target = session.get_one(Consent, row.grant_id) if row.grant_id else None
    person, action = target.person_id if target else caller.person, row.grant_management_action
    ask, amends = Ask.from_json(row.ask), target.id if target else None
    consent = asking.open_ask(session, house, person, app, ask, now, new_id, action, amends)
    row.opened_by, row.consent_id = caller.person, consent.id
    return consent


def may_change_grant(session: Session, row: AuthorizationRequest, facts: Facts, caller: Caller, now: datetime) -> bool:
    """Whether the grant that the request names, if it names one, still runs and is the caller's to decide about."""
    if not row.grant_id:
        return True
    grant = granting.find(session, row.grant_id, row.client_id, now)
    return grant is not None and facts.person(session, grant.person_id).decided_by(caller.person)


def agreed_before(session: Session, row: AuthorizationRequest, person: str, now: datetime) -> Consent | None:
    """A live consent whose request was exactly the same: registration of the app, data, purpose and limits.
    The person is asked about any other request."""
    running = found(
        session, Consent, "person_id = ? AND app_id = ? AND state = ?", (person, row.client_id, State.ACTIVE)
    )
    return next((one for one in running if one.asked == row.ask and deciding.is_live(one, now)), None)
