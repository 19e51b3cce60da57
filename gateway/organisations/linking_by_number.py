"""Linking by a customer number and a code: one that the organisation sends now, or that it gave her before (files)."""

import re
from datetime import datetime

from gateway.ground.http.connector import ConnectorError
from gateway.house import House
from gateway.organisations import calls, file_codes, file_rules, link_attempts, linking, links
from gateway.organisations.link_attempts import TRIES, Attempt, Linked, NotLinked
from gateway.organisations.token_endpoint import reason_of
from gateway.organisations.views import OrganisationView

NUMBER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]{1,38})[A-Za-z0-9]")
CODE = re.compile(r"[0-9]{6}")


def begin(house: House, person: str, view: OrganisationView, number: str, return_to: str, now: datetime) -> str:
    """Have the organisation send a code to the customer. Returns the attempt's secret, even if the number is unknown.

    Voids her attempts before: an organisation may void the code it sent her when it sends another, and that her own
    code is right no more would tell that the other number is known. In one turn, so that hers are voided whichever of
    two is begun first. Raises ConnectorError.
    """
    with linking.her_turn(house.store, person, view.id) as held:
        if not held:
            raise ConnectorError("organisation_slow", "another attempt of hers waits for it")
        known = view.kind == file_rules.KIND or _code_sent(house, person, view, number, now)
        with house.store.write() as session:
            link_attempts.void(session, person, view.id, now)
            secret = {"customer_number": number, "known": known}
            return link_attempts.add(session, house.keys, person, view, secret, return_to, now)


def _code_sent(house: House, person: str, view: OrganisationView, number: str, now: datetime) -> bool:
    """Whether the organisation knows the number. Of files it is not asked: it has given her a code before."""
    subject = house.keys.pairwise(person, view.id)
    status, _ = calls.post(house, view, linking.ends_of(view).start, subject, {"customer_number": number}, now)
    if status not in (202, 404):
        raise ConnectorError(reason_of(status), f"link start: {status}")
    return status == 202


def confirm(
    house: House, person: str, view: OrganisationView, state: str, code: str, now: datetime
) -> Linked | NotLinked:
    """Try a code. Two tries at once take turns, because the organisation keeps only the later link, and so must we.

    Raises LogFrozen: a link made now would be lost when the newest database is put back.
    """
    with linking.her_turn(house.store, person, view.id) as held:
        if not held:
            return NotLinked("organisation_slow")
        return _try_code(house, person, view, state, code, now)


def _try_code(
    house: House, person: str, view: OrganisationView, state: str, code: str, now: datetime
) -> Linked | NotLinked:
    with house.store.write() as session:
        house.log.turn(session, person)
        attempt = link_attempts.find(session, house.keys, person, view.id, state, now)
        if isinstance(attempt, NotLinked):
            return attempt
        if links.is_linked(session, person, view.id):  # by another attempt; a link is not replaced without unlinking
            link_attempts.spend(session, attempt.id, now)
            return NotLinked("spent", attempt.return_to)
        left = TRIES - link_attempts.count_try(session, attempt, now)
    number = attempt.secret["customer_number"]
    with linking.number_turn(house, view.id, number) as held:
        if not held:
            return NotLinked("organisation_slow", attempt.return_to)
        return _told(house, person, view, attempt, _confirmed(house, person, view, attempt, code, now), left, now)


def _told(
    house: House,
    person: str,
    view: OrganisationView,
    attempt: Attempt,
    status: int | ConnectorError,
    left: int,
    now: datetime,
) -> Linked | NotLinked:
    """What follows from the organisation's answer about a code."""
    if isinstance(status, ConnectorError):
        with house.store.write() as session:
            link_attempts.uncount_try(session, attempt.id)  # the organisation did not check the code
        return NotLinked(status.reason, attempt.return_to)
    if status == 410:
        with house.store.write() as session:
            link_attempts.spend(session, attempt.id, now)
        return NotLinked("expired", attempt.return_to)
    if status != 200:
        return NotLinked("wrong_code" if left else "no_tries", attempt.return_to, left)
    number = attempt.secret["customer_number"]
    return linking.keep(house, person, view, attempt, number, now, shown=number, spelled=links.spelled(number))


def _confirmed(
    house: House, person: str, view: OrganisationView, attempt: Attempt, code: str, now: datetime
) -> int | ConnectorError:
    """The organisation's answer about the code: 200, 403 (wrong) or 410 (too late). It is asked about a number that it
    does not know as well: an answer that came sooner, or while it is in trouble, would tell which numbers there are."""
    number = attempt.secret["customer_number"]
    if view.kind == file_rules.KIND:
        return 200 if file_codes.spent(house, view.id, number, code, attempt.id, now) else 403
    subject, body = house.keys.pairwise(person, view.id), {"customer_number": number, "code": code}
    try:
        status, answer = calls.post(house, view, linking.ends_of(view).confirm, subject, body, now)
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
