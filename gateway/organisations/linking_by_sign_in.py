"""Linking by a visit of her browser: to the organisation's own pages (OAuth), or to whoever signs people in for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlmodel import Session

from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import fresh
from gateway.house import House
from gateway.organisations import calls, declare, link_attempts, linking, links, sign_in, tokens, views
from gateway.organisations.link_attempts import Attempt, Linked, NotLinked
from gateway.organisations.links import Credentials
from gateway.organisations.oauth import Ends, authorize_address, challenge_of
from gateway.organisations.sign_in import Issuer, NotWhoItSays
from gateway.organisations.tables import Link
from gateway.organisations.token_endpoint import GrantRefused
from gateway.organisations.views import OrganisationView
from gateway.settings import Settings

Asked = TypeVar("Asked", Ends, Issuer)
Got = TypeVar("Got", Credentials, str)


@dataclass(frozen=True, slots=True)
class Back:
    """What a person's browser brings back. `error`: the word with which she was sent back without a code."""

    person: str
    state: str
    code: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Way(Generic[Asked, Got]):
    """Whom to ask, as it is at one moment; what they give for the code; and how she is linked with that."""

    ends_of: Callable[[Session, House, str, str], Asked]  # …, the organisation, the person
    exchanged: Callable[[Asked, Attempt, str, str, datetime], Got]  # …, code, our redirect URI, now
    kept: Callable[[House, OrganisationView, str, Asked, Attempt, Got, datetime], Linked | NotLinked]


def return_address(settings: Settings, organisation: str) -> str:
    """The gateway's redirect URI at this organisation. Each has its own, so that the answer of one is not taken for
    another's."""
    return f"{settings.public_url}/organisations/{organisation}/linked"


def begin(house: House, person: str, view: OrganisationView, return_to: str, now: datetime) -> str:
    """Begin an attempt. Returns the address to send the person's browser to."""
    verifier, nonce = fresh(), fresh()
    back, challenge = return_address(house.settings, view.id), challenge_of(verifier)
    with house.store.write() as session:
        secret = {"code_verifier": verifier, "nonce": nonce}
        state = link_attempts.add(session, house.keys, person, view, secret, return_to, now)
    ends = view.connection.sign_in
    if ends is None:
        return authorize_address(view, back, state, challenge)
    return sign_in.address(ends, back, state, nonce, challenge)


def finish(house: House, view: OrganisationView, back: Back, now: datetime) -> Linked | NotLinked:
    """Finish an attempt with what the person's browser brought back. Spends the state first, even if the rest fails;
    not where no call may be made at all, and she can come back.

    Raises LogFrozen: a link made now would be lost when the newest database is put back.
    """
    way = FINISH[view.match]
    arrived = _arrived(house, view, back, way.ends_of, now)
    if isinstance(arrived, NotLinked):
        return arrived
    attempt, asked = arrived
    try:
        got = way.exchanged(asked, attempt, back.code, return_address(house.settings, view.id), now)
    except GrantRefused:
        return NotLinked("organisation_refused", attempt.return_to)
    except NotWhoItSays as wrong:
        fault = ConnectorError("organisation_answer_invalid", f"ID token: {wrong}")
    except ConnectorError as problem:
        fault = problem
    else:
        return way.kept(house, view, back.person, asked, attempt, got, now)
    calls.tell(view.id, fault)
    return NotLinked(fault.reason, attempt.return_to)


def _arrived(
    house: House,
    view: OrganisationView,
    back: Back,
    ends_of: Callable[[Session, House, str, str], Asked],
    now: datetime,
) -> tuple[Attempt, Asked] | NotLinked:
    """The attempt, spent, and whom to ask, as it is in the same moment."""
    with house.store.write() as session:
        linking.stays(session, view.id)
        house.log.turn(session, back.person)
        attempt = link_attempts.find(session, house.keys, back.person, view.id, back.state, now)
        if isinstance(attempt, NotLinked):
            return attempt
        asked = ends_of(session, house, view.id, back.person)  # where the attempt was made: it would be gone otherwise
        if not asked.organisation.active:
            return NotLinked("suspended", attempt.return_to)
        if not link_attempts.spend(session, attempt.id, now):
            return NotLinked("spent", attempt.return_to)
    if back.error or not back.code:
        reason = "declined" if back.error == "access_denied" else "organisation_refused"
        return NotLinked(reason, attempt.return_to)
    return attempt, asked


# ---- at the organisation itself


def _granted(ends: Ends, attempt: Attempt, code: str, redirect_uri: str, now: datetime) -> Credentials:
    return ends.exchange(code, attempt.secret["code_verifier"], redirect_uri, now)


def _keep_granted(
    house: House, view: OrganisationView, person: str, ends: Ends, attempt: Attempt, held: Credentials, now: datetime
) -> Linked | NotLinked:
    lasting = view.oauth is not None and view.oauth.subscription == "lasting"
    identifying = held.resource if lasting else ""
    if view.connection.declared:  # calls are made without these tokens: only the customer's name is kept
        tokens.drop(ends, held)
        return linking.keep(house, person, ends.organisation, attempt, held.resource, now, spelled=identifying)
    whose = links.whose(house.keys, view.id, identifying)

    new_id, replaced = fresh(), None
    tried: set[str] = set()  # the links that an earlier try has made or given the credentials, if it was committed

    def make(session: Session) -> tuple[Link | None, Credentials | None]:
        """The link, and the credentials that are of no use."""
        nonlocal replaced
        if house.log.frozen or linking.is_elsewhere(session, ends.organisation):
            return None, held
        house.log.turn(session, person)
        if links.have_ended(session, tried):  # she has unlinked meanwhile, and nothing links her again
            return None, held
        before = links.current(session, person, view.id)
        if before and links.credentials(house.keys, before) == held:  # an earlier try was committed after all
            return before, replaced
        tried.update({new_id, before.id} if before else {new_id})
        link, replaced = links.make(session, house.keys, person, view.id, now, new_id=new_id, held=held, whose=whose)
        house.log.record(session, linking.event_of(house.settings, "linked", person, view, now))
        return link, replaced

    link, unused = tokens.storing(house.store, ends, held, make)
    if unused:
        tokens.drop(ends, unused)
    house.log.require_whole()  # it may have been frozen while the organisation answered
    if link is None:
        return NotLinked("expired", attempt.return_to)
    return Linked(link.id, attempt.return_to, linking.read_accounts(house, view, link))


# ---- at whoever signs people in for it


def issuer_of(session: Session, house: House, organisation: str, whose: str) -> Issuer:
    """As `tokens.ends_of`: where to ask, with our secret there, of one moment."""
    view = views.view(session, organisation)
    if view is None:
        raise ConnectorError("not_linked", "organisation gone")
    return Issuer(house, view, declare.secrets(session, house.keys, organisation).get("sign_in", ""), whose)


def _named(issuer: Issuer, attempt: Attempt, code: str, redirect_uri: str, now: datetime) -> str:
    return issuer.customer(code, attempt.secret["code_verifier"], attempt.secret["nonce"], redirect_uri, now)


def _keep_named(
    house: House, _: OrganisationView, person: str, issuer: Issuer, attempt: Attempt, customer: str, now: datetime
) -> Linked | NotLinked:
    return linking.keep(house, person, issuer.organisation, attempt, customer, now)


FINISH: dict[str, Way[Any, Any]] = {  # by how a person is matched
    "oauth": Way(tokens.ends_of, _granted, _keep_granted),
    "sign_in": Way(issuer_of, _named, _keep_named),
}
