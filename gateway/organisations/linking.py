"""Linking and unlinking, in three ways. Each is a series of short transactions, with the calls between them.

    oauth     begin ──► at the organisation ──► spend(state) ──► exchange ──► link ──► accounts
    sign_in   begin ──► at the issuer ──► spend(state) ──► exchange, ID token ──► link ──► accounts
    number    begin(number) ──► a message with a code ──► confirm ──► link ──► accounts
              begin(number) ──► of files: the code that she has ──► `file_codes` ──► link ──► accounts

An attempt belongs to one person and one organisation and can be used once. Codes tried are counted before the
organisation is asked, by person and by customer number. The pages are the same whether a customer number exists or
not, so that nobody can find out.
"""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlmodel import Session, col, select, update

from gateway.consent import meanwhile
from gateway.consent.actors import herself
from gateway.consent.meanwhile import Done
from gateway.consent.rules import Act
from gateway.errors import NotFound
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import KeyRing, fresh, hashed
from gateway.ground.store.together import one_at_a_time
from gateway.house import House
from gateway.log import Event, Log
from gateway.organisations import calls, declare, file_codes, file_rules, links, sign_in, tokens, views
from gateway.organisations.connections import CUSTOMER, NAME_THE_SUBJECT
from gateway.organisations.links import Credentials, Matched
from gateway.organisations.oauth import Ends, authorize_address, challenge_of
from gateway.organisations.sign_in import Issuer, NotWhoItSays
from gateway.organisations.tables import Link, LinkAttempt, Organisation
from gateway.organisations.token_endpoint import GrantRefused, reason_of
from gateway.organisations.views import LinkEnds, OrganisationView
from gateway.settings import Settings

MINUTES = {"oauth": 15, "sign_in": 15, "number": 10}  # time for an attempt; organisations keep a code for ten minutes
TRIES = 5
NUMBER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{1,38})[A-Za-z0-9]")
CODE = re.compile(r"[0-9]{6}")
Asked = TypeVar("Asked", Ends, Issuer)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to link, read from its row. `secret`: its sealed part, decrypted."""

    id: str
    return_to: str
    tries: int
    secret: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Linked:
    link: str
    return_to: str
    unread: str = ""  # why the accounts could not be read yet; "": they have been read


@dataclass(frozen=True, slots=True)
class NotLinked:
    """Why there is no link: one of errors.REASONS, or `expired`, `spent`, `declined`, `wrong_code`, `no_tries`."""

    reason: str
    return_to: str = "/organisations"
    tries_left: int = 0


def return_address(settings: Settings, organisation: str) -> str:
    """The gateway's redirect URI at this organisation. Each has its own, so that the answer of one is not taken for
    another's."""
    return f"{settings.public_url}/organisations/{organisation}/linked"


# ---- attempts


def open_attempt(
    session: Session,
    keys: KeyRing,
    person: str,
    view: OrganisationView,
    secret: dict[str, Any],
    return_to: str,
    now: datetime,
    state: str,
) -> None:
    """Store an attempt. `state`: fresh; only its hash is stored, and only the person's browser knows it."""
    session.add(
        LinkAttempt(
            id=hashed(state),
            person_id=person,
            organisation_id=view.id,
            sealed=keys.seal(json.dumps(secret).encode(), f"linkattempt:{hashed(state)}"),
            return_to=return_to,
            expires_at=now + timedelta(minutes=MINUTES[view.match]),
        )
    )


def find_attempt(
    session: Session, keys: KeyRing, person: str, organisation: str, state: str, now: datetime
) -> Attempt | NotLinked:
    """The person's attempt at this organisation, if it is unspent and in time. Raises NotFound for another person's."""
    row = session.exec(
        select(LinkAttempt).where(
            LinkAttempt.id == hashed(state),
            LinkAttempt.person_id == person,
            LinkAttempt.organisation_id == organisation,
        )
    ).first()
    if row is None:
        raise NotFound("link attempt")
    if row.spent_at is not None:
        return NotLinked("no_tries" if row.tries >= TRIES else "spent", row.return_to)
    if row.expires_at <= now:
        return NotLinked("expired", row.return_to)
    secret = json.loads(keys.open(row.sealed, f"linkattempt:{row.id}"))
    return Attempt(row.id, row.return_to, row.tries, secret)


def _spend(session: Session, attempt: str, now: datetime) -> bool:
    spent = session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt, col(LinkAttempt.spent_at).is_(None))
        .values(spent_at=now, sealed=b"")
    )
    return bool(spent.rowcount)  # type: ignore[attr-defined]


def _is_elsewhere(session: Session, asked: OrganisationView) -> bool:
    """Whether another address was declared during the call, or is about to be. Credentials from the old one must not go
    to the new.

    Call it before the person's turn is taken: until the transaction ends no other address is declared, and whoever
    declares one ends the links that are there (`declare.add`), in the turns of their people.
    """
    _stays(session, asked.id)
    now = views.view(session, asked.id)
    return now is None or now.leaving or now.base_url != asked.base_url


def _stays(session: Session, organisation: str) -> None:
    """Until the transaction ends no other address of the organisation is declared."""
    session.get(Organisation, organisation, with_for_update={"read": True}, populate_existing=True)


# ---- at the organisation's own pages, or at whoever signs people in for it


def begin(house: House, person: str, view: OrganisationView, return_to: str, now: datetime) -> str:
    """Begin an attempt. Returns the address to send the person's browser to."""
    state, verifier, nonce = fresh(), fresh(), fresh()
    back, challenge = return_address(house.settings, view.id), challenge_of(verifier)
    with house.store.write() as session:
        secret = {"code_verifier": verifier, "nonce": nonce}
        open_attempt(session, house.keys, person, view, secret, return_to, now, state)
    ends = view.connection.sign_in
    if ends is None:
        return authorize_address(view, back, state, challenge)
    return sign_in.address(ends, back, state, nonce, challenge)


def finish(
    house: House, person: str, view: OrganisationView, state: str, code: str, error: str, now: datetime
) -> Linked | NotLinked:
    """Finish an attempt with what the person's browser brought back. Spends the state first, even if the rest fails;
    not where no call may be made at all, and she can come back.

    Raises LogFrozen: a link made now would be lost when the newest database is put back.
    """
    return FINISH[view.match](house, person, view, state, code, error, now)


def _arrived(
    house: House,
    person: str,
    view: OrganisationView,
    state: str,
    code: str,
    error: str,
    now: datetime,
    ends_of: Callable[[Session, House, str], Asked],
) -> tuple[Attempt, Asked] | NotLinked:
    """The attempt, spent, and whom to ask, as it is in the same moment."""
    with house.store.write() as session:
        _stays(session, view.id)
        house.log.turn(session, person)
        attempt = find_attempt(session, house.keys, person, view.id, state, now)
        if isinstance(attempt, NotLinked):
            return attempt
        ends = ends_of(session, house, view.id)  # where the attempt was made: it would be gone otherwise
        if not ends.organisation.active:
            return NotLinked("suspended", attempt.return_to)
        if not _spend(session, attempt.id, now):
            return NotLinked("spent", attempt.return_to)
    if error or not code:
        return NotLinked("declined" if error == "access_denied" else "organisation_refused", attempt.return_to)
    return attempt, ends


def _finish_oauth(
    house: House, person: str, view: OrganisationView, state: str, code: str, error: str, now: datetime
) -> Linked | NotLinked:
    arrived = _arrived(house, person, view, state, code, error, now, tokens.ends_of)
    if isinstance(arrived, NotLinked):
        return arrived
    attempt, ends = arrived
    try:
        held = ends.exchange(code, attempt.secret["code_verifier"], return_address(house.settings, view.id), now)
    except GrantRefused:
        return NotLinked("organisation_refused", attempt.return_to)
    except ConnectorError as fault:
        calls.tell(view.id, fault)
        return NotLinked(fault.reason, attempt.return_to)
    lasting = view.oauth is not None and view.oauth.subscription == "lasting"
    identifying = held.resource if lasting else ""
    if view.connection.declared:  # calls are made without these tokens: only the customer's name is kept
        tokens.drop(ends, held)
        return _keep(house, person, ends.organisation, attempt, held.resource, now, spelled=identifying)
    whose = links.whose(house.keys, view.id, identifying)

    new_id, replaced = fresh(), None
    tried: set[str] = set()  # the links that an earlier try has made or given the credentials, if it was committed

    def make(session: Session) -> tuple[Link | None, Credentials | None]:
        """The link, and the credentials that are of no use."""
        nonlocal replaced
        if house.log.frozen or _is_elsewhere(session, ends.organisation):
            return None, held
        house.log.turn(session, person)
        if links.have_ended(session, tried):  # she has unlinked meanwhile, and nothing links her again
            return None, held
        before = links.current(session, person, view.id)
        if before and links.credentials(house.keys, before) == held:  # an earlier try was committed after all
            return before, replaced
        tried.update({new_id, before.id} if before else {new_id})
        link, replaced = links.make(session, house.keys, person, view.id, now, new_id=new_id, held=held, whose=whose)
        house.log.record(session, _event(house.settings, "linked", person, view, now))
        return link, replaced

    link, unused = tokens.storing(house.store, ends, held, make)
    if unused:
        tokens.drop(ends, unused)
    house.log.require_whole()  # it may have been frozen while the organisation answered
    if link is None:
        return NotLinked("expired", attempt.return_to)
    return Linked(link.id, attempt.return_to, read_accounts(house, view, link))


def _finish_sign_in(
    house: House, person: str, view: OrganisationView, state: str, code: str, error: str, now: datetime
) -> Linked | NotLinked:
    arrived = _arrived(house, person, view, state, code, error, now, issuer_of)
    if isinstance(arrived, NotLinked):
        return arrived
    attempt, issuer = arrived
    secret, back = attempt.secret, return_address(house.settings, view.id)
    try:
        customer = issuer.customer(code, secret["code_verifier"], secret["nonce"], back, now)
    except GrantRefused:
        return NotLinked("organisation_refused", attempt.return_to)
    except NotWhoItSays as wrong:
        calls.tell(view.id, ConnectorError("organisation_answer_invalid", f"ID token: {wrong}"))
        return NotLinked("organisation_answer_invalid", attempt.return_to)
    except ConnectorError as fault:
        calls.tell(view.id, fault)
        return NotLinked(fault.reason, attempt.return_to)
    return _keep(house, person, issuer.organisation, attempt, customer, now)


FINISH = {"oauth": _finish_oauth, "sign_in": _finish_sign_in}


def issuer_of(session: Session, house: House, organisation: str) -> Issuer:
    """As `tokens.ends_of`: where to ask, with our secret there, of one moment."""
    view = views.view(session, organisation)
    if view is None:
        raise ConnectorError("not_linked", "organisation gone")
    return Issuer(house, view, declare.secrets(session, house.keys, organisation).get("sign_in", ""))


def _keep(
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
        elsewhere = _is_elsewhere(session, view)
        house.log.turn(session, person)
        _spend(session, attempt.id, now)
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
        house.log.record(session, _event(house.settings, "linked", person, view, now))
    return Linked(link.id, attempt.return_to, read_accounts(house, view, link))


# ---- by customer number and code


def begin_number(house: House, person: str, view: OrganisationView, number: str, return_to: str, now: datetime) -> str:
    """Have the organisation send a code to the customer. Returns the attempt's secret, even if the number is unknown.

    Voids her attempts before: an organisation may void the code it sent her when it sends another, and that her own
    code is right no more would tell that the other number is known. In one turn, so that hers are voided whichever of
    two is begun first. Raises ConnectorError.
    """
    with _her_turn(house, person, view) as held:
        if not held:
            raise ConnectorError("organisation_slow", "another attempt of hers waits for it")
        known = view.kind == file_rules.KIND or _code_sent(house, person, view, number, now)
        state = fresh()
        with house.store.write() as session:
            _void_attempts(session, person, view.id, now)
            secret = {"customer_number": number, "known": known}
            open_attempt(session, house.keys, person, view, secret, return_to, now, state)
        return state


def _code_sent(house: House, person: str, view: OrganisationView, number: str, now: datetime) -> bool:
    """Whether the organisation knows the number. Of files it is not asked: it has given her a code before."""
    subject = house.keys.pairwise(person, view.id)
    status, _ = calls.post(house, view, _ends(view).start, subject, {"customer_number": number}, now)
    if status not in (202, 404):
        raise ConnectorError(reason_of(status), f"link start: {status}")
    return status == 202


def _void_attempts(session: Session, person: str, organisation: str, now: datetime) -> None:
    session.execute(
        update(LinkAttempt)
        .where(
            col(LinkAttempt.person_id) == person,
            col(LinkAttempt.organisation_id) == organisation,
            col(LinkAttempt.spent_at).is_(None),
        )
        .values(spent_at=now, sealed=b"")
    )


def _her_turn(house: House, person: str, view: OrganisationView) -> AbstractContextManager[bool]:
    """What is asked of the organisation about her codes takes turns. Yields whether this may be done now."""
    return one_at_a_time(house.store, f"linking {person} {view.id}")


def confirm_code(
    house: House, person: str, view: OrganisationView, state: str, code: str, now: datetime
) -> Linked | NotLinked:
    """Try a code. Two tries at once take turns, because the organisation keeps only the later link, and so must we.

    Raises LogFrozen: a link made now would be lost when the newest database is put back.
    """
    with _her_turn(house, person, view) as held:
        if not held:
            return NotLinked("organisation_slow")
        return _try_code(house, person, view, state, code, now)


def _try_code(
    house: House, person: str, view: OrganisationView, state: str, code: str, now: datetime
) -> Linked | NotLinked:
    with house.store.write() as session:
        house.log.turn(session, person)
        attempt = find_attempt(session, house.keys, person, view.id, state, now)
        if isinstance(attempt, NotLinked):
            return attempt
        if links.is_linked(session, person, view.id):  # by another attempt; a link is not replaced without unlinking
            _spend(session, attempt.id, now)
            return NotLinked("spent", attempt.return_to)
        left = TRIES - _count_try(session, attempt, now)
    status = _confirmed(house, person, view, attempt, code, now)
    if isinstance(status, ConnectorError):
        with house.store.write() as session:
            _uncount_try(session, attempt.id)  # the organisation did not check the code
        return NotLinked(status.reason, attempt.return_to)
    if status == 410:
        with house.store.write() as session:
            _spend(session, attempt.id, now)
        return NotLinked("expired", attempt.return_to)
    if status != 200:
        return NotLinked("wrong_code" if left else "no_tries", attempt.return_to, left)
    number = attempt.secret["customer_number"]
    return _keep(house, person, view, attempt, number, now, shown=number, spelled="".join(number.upper().split()))


def _confirmed(
    house: House, person: str, view: OrganisationView, attempt: Attempt, code: str, now: datetime
) -> int | ConnectorError:
    """The organisation's answer about the code: 200, 403 (wrong) or 410 (too late). It is asked about a number that it
    does not know as well: an answer that came sooner, or while it is in trouble, would tell which numbers there are."""
    if view.kind == file_rules.KIND:
        right = file_codes.spent(house, view.id, attempt.secret["customer_number"], code, attempt.id, now)
        return 200 if right else 403
    body = {"customer_number": attempt.secret["customer_number"], "code": code}
    try:
        status, answer = calls.post(house, view, _ends(view).confirm, house.keys.pairwise(person, view.id), body, now)
    except ConnectorError as fault:
        calls.tell(view.id, fault)
        return fault
    linked = isinstance(answer, dict) and answer.get("linked") is True
    if not attempt.secret["known"] and 400 <= status < 500 and status not in (401, 429):
        return 403  # whatever it says of a number that it does not know
    if (status == 200 and linked) or status in (403, 410):
        return status
    wrong = ConnectorError("organisation_answer_invalid" if status == 200 else reason_of(status), f"confirm: {status}")
    calls.tell(view.id, wrong)
    return wrong


def _count_try(session: Session, attempt: Attempt, now: datetime) -> int:
    """Count a try and return its number. The last one spends the attempt before the code is checked."""
    session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt.id)
        .values(tries=LinkAttempt.tries + 1, spent_at=now if attempt.tries + 1 >= TRIES else None)
    )
    return attempt.tries + 1


def _uncount_try(session: Session, attempt: str) -> None:
    session.execute(
        update(LinkAttempt)
        .where(col(LinkAttempt.id) == attempt, col(LinkAttempt.sealed) != b"")
        .values(tries=LinkAttempt.tries - 1, spent_at=None)
    )


def masked(number: str) -> str:
    """The customer number, masked except for what the person needs to recognise it."""
    return "••• " + number[-3:] if len(number) > 5 else "••• " + number[-1:]


def _ends(view: OrganisationView) -> LinkEnds:
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
        event = _event(house.settings, "unlinked", person, view, now)
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
    return _ended(session, log, live, _event(settings, "unlinked", live.person_id, view, now))


def _ended(session: Session, log: Log, link: Link, event: Event) -> bool:
    if not links.end(session, link.id, event.at):
        return False
    log.record(session, event)
    return True


def tell_end(house: House, ended: Link, now: datetime) -> bool:
    """Have the organisation forget an ended link: revoke its tokens, or call its `unlink`. False: it must be told
    later."""
    try:
        tell = _telling(house, ended, now)
        if tell is not None:
            tell()
    except ConnectorError as fault:
        calls.tell(ended.organisation_id, fault)
        return False
    with house.store.write() as session:
        links.told(session, ended.id, now)
    return True


def _telling(house: House, ended: Link, now: datetime) -> Callable[[], None] | None:
    """What to say, and to whom, as both are at one moment: another organisation may have taken the place of the one
    that was linked, and then nothing is said any more. None: nothing is to be said."""
    with house.store.read() as session:
        link, view = session.get(Link, ended.id), views.view(session, ended.organisation_id)
        if link is None or view is None or link.told_at is not None:
            return None
        if view.kind == "oauth":
            held = links.credentials(house.keys, link)
            return partial(tokens.ends_of(session, house, view.id).revoke, held) if held else None
        if not view.knows_links:
            return None
        if links.current(session, link.person_id, view.id) is not None:
            return None  # the person has linked again under the same subject, and telling would end the new link
        named = None if view.kind in NAME_THE_SUBJECT else links.matched(house.keys, link)
        body = {"customer_number": named.customer} if named else {}
        return partial(_unlink, house, view, link.subject, body, now)


def _unlink(house: House, view: OrganisationView, subject: str, body: dict[str, str], now: datetime) -> None:
    status, _ = calls.post(house, view, _ends(view).unlink, subject, body, now)
    if status not in (200, 204, 404, 410):  # 404 and 410: it does not know the link, which is fine
        raise ConnectorError(reason_of(status), f"unlink: {status}")


def _event(settings: Settings, kind: str, person: str, view: OrganisationView, now: datetime) -> Event:
    return Event(kind, person, now, facts={"organisation": view.id, "organisation_name": tokens.spoken(settings, view)})
