"""Linking, in three ways, and unlinking. Each is a series of short transactions, with the calls between them.

    oauth     begin ──► at the organisation ──► spend(state) ──► exchange ──► link ──► accounts
    sign_in   begin ──► at the issuer ──► spend(state) ──► exchange, ID token ──► link ──► accounts
    number    begin(number) ──► a message with a code ──► confirm ──► link ──► accounts
              begin(number) ──► of files: the code that she has ──► `file_codes` ──► link ──► accounts

An attempt belongs to one person and one organisation and can be used once. Codes tried are counted before the
organisation is asked, by person and by customer number. The pages are the same whether a customer number exists or
not, so that nobody can find out.

    link_attempts       what is begun and not yet done
    linking_by_sign_in  oauth and sign_in              linking_by_number  number
    here                what all of them end in: the link, its accounts; and how it is ended
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from enum import StrEnum
from functools import partial

from sqlmodel import Session

from gateway.consent import meanwhile
from gateway.consent.actors import herself
from gateway.consent.meanwhile import Done
from gateway.consent.rules import Act
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import fresh
from gateway.ground.store import Store
from gateway.ground.store.together import one_at_a_time
from gateway.house import House
from gateway.log import Event, Log
from gateway.organisations import calls, link_attempts, links, tokens, views
from gateway.organisations.connections import CUSTOMER, NAME_THE_SUBJECT
from gateway.organisations.link_attempts import Attempt, Linked, NotLinked
from gateway.organisations.links import Matched
from gateway.organisations.tables import Link, Organisation
from gateway.organisations.token_endpoint import reason_of
from gateway.organisations.views import LinkEnds, OrganisationView
from gateway.settings import Settings

# ---- what every way ends in


def keep(
    house: House,
    person: str,
    view: OrganisationView,
    attempt: Attempt,
    customer: str,
    now: datetime,
    *,
    shown: str = "",
    spelled: str | None = None,
) -> Linked | NotLinked:
    """Link her with this customer. `shown`: what she may see of the number, masked; `spelled`: as every spelling of it
    is. Spends the attempt, where that has not been done."""
    declared = view.connection.declared
    if declared and not CUSTOMER.fullmatch(customer):
        return NotLinked("organisation_answer_invalid", attempt.return_to)
    with house.store.write() as session:
        elsewhere = is_elsewhere(session, view)
        house.log.turn(session, person)
        link_attempts.spend(session, attempt.id, now)
        if elsewhere:
            return NotLinked("expired", attempt.return_to)
        house.log.require_whole()  # it may have been frozen while the organisation answered
        whose = links.whose(house.keys, view.id, customer if spelled is None else spelled)
        link, _ = links.make(
            session,
            house.keys,
            person,
            view.id,
            now,
            new_id=fresh(),
            held=Matched(customer) if declared else None,
            customer=masked(shown) if shown else "",
            whose=whose,
        )
        house.log.record(session, event_of(house.settings, "linked", person, view, now))
    return Linked(link.id, attempt.return_to, read_accounts(house, view, link))


def is_elsewhere(session: Session, asked: OrganisationView) -> bool:
    """Whether another address was declared during the call, or is about to be. Credentials from the old one must not go
    to the new.

    Call it before the person's turn is taken: until the transaction ends no other address is declared, and whoever
    declares one ends the links that are there (`declare.add`), in the turns of their people.
    """
    stays(session, asked.id)
    now = views.view(session, asked.id)
    return now is None or now.leaving or now.places != asked.places


def stays(session: Session, organisation: str) -> None:
    """Until the transaction ends no other address of the organisation is declared."""
    session.get(Organisation, organisation, with_for_update={"read": True}, populate_existing=True)


def masked(number: str) -> str:
    """The customer number, masked except for what the person needs to recognise it."""
    return "••• " + number[-3:] if len(number) > 5 else "••• " + number[-1:]


def ends_of(view: OrganisationView) -> LinkEnds:
    if view.link is None:
        raise ConnectorError("organisation_refused", "not matched by a number")
    return view.link


# ---- accounts


def read_accounts(house: House, view: OrganisationView, link: Link) -> str:
    """Read and store the person's accounts there. Returns "" or why that failed; the link exists in either case."""
    line = calls.Line(house, view, links.view_of(house.keys, link), fresh(16))
    try:
        found = calls.read_accounts(line)
    except ConnectorError as fault:
        return fault.reason
    with house.store.write() as session:
        kept = links.store_accounts(session, house.keys, link.id, found, line.link.whose)
        return "" if kept else "not_linked"


# ---- ending


def unlink(house: House, person: str, view: OrganisationView, now: datetime) -> Link | None:
    """End the link here at once. Call `tell_end` next, so that the organisation forgets it. None: there was no link."""
    with house.store.write() as session:
        house.log.turn(session, person)
        link = links.current(session, person, view.id)
        if link is None:
            return None
        meanwhile.keep(house.log, Done("link", link.id, Act.ENDED, herself(person), "", now))
        event = event_of(house.settings, "unlinked", person, view, now)
        return links.kept(session, link) if _ended(session, house.log, link, event) else None


def redo(settings: Settings, session: Session, log: Log, done: Done, now: datetime) -> bool:
    """End again a link that its person ended on a frozen log, or the one that has come in its place before
    (`meanwhile.Again`, with the settings given first). `telling` tells the organisation."""
    link = session.get(Link, done.id)
    if link is None:
        return False
    log.turn(session, link.person_id)
    live = links.current(session, link.person_id, link.organisation_id)
    view = views.view(session, live.organisation_id) if live else None
    if live is None or view is None or live.linked_at > done.at:
        return False
    return _ended(session, log, live, event_of(settings, "unlinked", live.person_id, view, now))


def _ended(session: Session, log: Log, link: Link, event: Event) -> bool:
    if not links.end(session, link.id, event.at):
        return False
    log.record(session, event)
    return True


class Ending(StrEnum):
    """What became of telling an organisation that a link has ended."""

    TOLD = "told"
    NOTHING = "nothing"  # there was nothing to tell it
    BUSY = "busy"  # to be told later: she, or somebody with her number, is linking there
    DOWN = "down"  # to be told later: it did not answer


def tell_end(house: House, ended: Link, now: datetime) -> Ending:
    """Have the organisation forget an ended link: revoke its tokens, or call its `unlink`. Not while somebody links
    there whose link it could take for the one to be forgotten."""
    held = links.matched(house.keys, ended)
    with ExitStack() as turns:
        if not turns.enter_context(her_turn(house.store, ended.person_id, ended.organisation_id)):
            return Ending.BUSY
        if held is not None and not turns.enter_context(number_turn(house, ended.organisation_id, held.customer)):
            return Ending.BUSY
        try:
            tell = _telling(house, ended, now)
            if tell is not None:
                tell()
        except ConnectorError as fault:
            calls.tell(ended.organisation_id, fault)
            return Ending.DOWN
        with house.store.write() as session:
            links.told(session, ended.id, now)
    return Ending.NOTHING if tell is None else Ending.TOLD


def her_turn(store: Store, person: str, organisation: str) -> AbstractContextManager[bool]:
    """What is asked of the organisation about her codes and links takes turns. Yields whether it may be done now."""
    return one_at_a_time(store, f"linking {person} {organisation}")


def number_turn(house: House, organisation: str, number: str) -> AbstractContextManager[bool]:
    """The same of a customer number, inside a person's turn: several people may have it."""
    return one_at_a_time(house.store, f"number {links.whose(house.keys, organisation, links.spelled(number))}")


def _telling(house: House, ended: Link, now: datetime) -> Callable[[], None] | None:
    """What to say, and to whom, as both are at one moment: another organisation may have taken the place of the one
    that was linked, and then nothing is said any more. None: nothing is to be said."""
    with house.store.read() as session:
        link, view = session.get(Link, ended.id), views.view(session, ended.organisation_id)
        if link is None or view is None or link.told_at is not None:
            return None
        if view.kind == "oauth":
            held = links.credentials(house.keys, link)
            return partial(tokens.ends_of(session, house, view.id, link.id).revoke, held) if held else None
        if not view.knows_links:
            return None
        named = None if view.kind in NAME_THE_SUBJECT else links.matched(house.keys, link)
        if named is not None:
            if links.is_of_anybody(session, house.keys, view.id, named.customer):
                return None  # herself again, or who has this number with her: telling would end that link
        elif links.current(session, link.person_id, view.id) is not None:
            return None  # the person has linked again under the same subject, and telling would end the new link
        body = {"customer_number": named.customer} if named else {}
        return partial(_unlink, house, view, link.subject, body, now)


def _unlink(house: House, view: OrganisationView, subject: str, body: dict[str, str], now: datetime) -> None:
    status, _ = calls.post(house, view, ends_of(view).unlink, subject, body, now)
    if status not in (200, 204, 404, 410):  # 404 and 410: it does not know the link, which is fine
        raise ConnectorError(reason_of(status), f"unlink: {status}")


def event_of(settings: Settings, kind: str, person: str, view: OrganisationView, now: datetime) -> Event:
    return Event(kind, person, now, facts={"organisation": view.id, "organisation_name": tokens.spoken(settings, view)})
