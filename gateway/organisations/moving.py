"""When an organisation's address changes: only the operator knows whether it is still the same organisation.

People have linked with the organisation at the old origin (scheme, host, port). Its tokens, and assertions that name
these people, must go to nobody else. So while anybody is linked, a new origin is refused until the operator says:

    moved      it is the same organisation under a new address: links stay
    replaced   it is another one, or the operator is not sure: every link ends, which people can read in their logs

Links end a few people at a time (`leave`), because a database holds only so many people's turns at once and all of a
region may be linked. Before the first of them the organisation is `leaving`: no call goes to it and nobody links, as
in a suspension, so nobody's credentials can reach the new address while others' links still end. Who is linked is only
read after that, and in no turn: every data call waits for whoever has the directory's. If that is broken off, it stays
`leaving`, and the same command goes on. The last transaction (`replaced`) ends what was linked on the way to one that
was suspended before, and puts the new address into force.

The organisation at the old address is not told of these ends, because it is not called any more, and the new one must
not learn of these people.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, func, select, update

from gateway.errors import Fault
from gateway.ground.store.statements import patient
from gateway.ground.store.tables import directory_changed, directory_turn
from gateway.house import House
from gateway.log import Event, Log
from gateway.organisations import links
from gateway.organisations.connections import address
from gateway.organisations.tables import LEAVING, Link, LinkAttempt, Organisation

PEOPLE_AT_ONCE = 200  # of whom a transaction ends links: each of their turns is a lock in the database
PEOPLE_READ = 10_000  # at once: each reading passes over those whose links have ended
MOST_COUNTED = 10_000  # people who are linked, for the sentence that says how many
_LIVE = "FROM link WHERE organisation_id = ? AND ended_at IS NULL"
_COUNT, _LINKED = f"SELECT count(*) {_LIVE}", f"SELECT person_id {_LIVE} LIMIT ?"
PORTS = {"https": 443, "http": 80}
AGAIN = "`aval organisations add FILE --replaced` was broken off: give it again, as it was"  # where one is `leaving`


def origin(document: Mapping[str, Any]) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454 §4) of a checked declaration."""
    return _origin(document["connection"].get("base_url", ""))


def _origin(text: str) -> tuple[str, str, int]:
    parts = urlsplit(text)
    if not parts.scheme:  # it has no address: it gives files
        return "", "", 0
    return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]


def origins(document: Mapping[str, Any]) -> set[tuple[str, str, int]]:
    """Of all places to which people's tokens go."""
    connection = document["connection"]
    oauth, base = connection.get("oauth", {}), connection.get("base_url", "").rstrip("/")
    ends = [address(oauth[key], base) for key in ("token", "revoke") if key in oauth]
    return {origin(document), *(_origin(end) for end in ends)}


def elsewhere(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether what people linked with would go to another server."""
    return origin(old) != origin(new) or not origins(new) <= origins(old)


def unsaid(session: Session, organisation: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Fault | None:
    """The fault, if the origin changes while anybody is linked and the operator has not said why."""
    if not elsewhere(old, new):
        return None
    people = linked(session, organisation)
    if not people:
        return None
    was = old["connection"]["base_url"]
    if origin(old) == origin(new):
        key, wrong = "connection.oauth", f"leads to another server than it did, and {people} linked an account"
    else:
        key, wrong = "connection.base_url", f"was {was}, where {people} linked an account"
    return Fault(
        key,
        wrong,
        "say --moved if the same organisation answers at the new address (links stay), "
        "or --replaced if it is another one (they end)",
    )


def linked(session: Session, organisation: str) -> str:
    """How many people are linked, for a sentence; "": nobody is."""
    some = select(Link.id).where(*_live(organisation)).limit(MOST_COUNTED + 1)
    count = session.exec(select(func.count()).select_from(some.subquery())).one()
    many = f"more than {MOST_COUNTED}" if count > MOST_COUNTED else count
    return "" if not count else "one person has" if count == 1 else f"{many} people have"


def leave(house: House, organisation: str, told: Callable[[int, int], None]) -> None:
    """End the links with an organisation that another one replaces, in small transactions. `replaced` comes after.

    `told` is called with how many of how many people are done.
    """
    with house.store.write() as session:
        name = _leaving(session, organisation, datetime.now(UTC))[house.settings.default_language]
    done = 0
    with patient(house.store) as reading:
        (count,) = reading.execute(_COUNT, (organisation,)).fetchone()
        while people := [person for (person,) in reading.execute(_LINKED, (organisation, PEOPLE_READ))]:
            for begin in range(0, len(people), PEOPLE_AT_ONCE):
                told(done, count)
                some = people[begin : begin + PEOPLE_AT_ONCE]
                with house.store.write() as session:
                    _end(session, house.log, organisation, name, some, datetime.now(UTC))
                done += len(some)
    told(done, max(done, count))


def _leaving(session: Session, organisation: str, now: datetime) -> Mapping[str, str]:
    """No call goes to it from now on. Its name, by language."""
    directory_turn(session)
    row = session.get_one(Organisation, organisation, with_for_update=True, populate_existing=True)
    if row.status == "active":  # a suspension stays what it is, afterwards too
        row.status, row.changed_at = LEAVING, now
        session.add(row)
        directory_changed(session)
    name: Mapping[str, str] = row.declaration["name"]
    return name


def replaced(session: Session, log: Log, organisation: str, name: str, now: datetime) -> None:
    """End what hangs from the old address: links, linkings under way, ends still to be told."""
    session.execute(delete(LinkAttempt).where(col(LinkAttempt.organisation_id) == organisation))
    _end(session, log, organisation, name, session.exec(select(Link.person_id).where(*_live(organisation))).all(), now)
    session.execute(
        update(Link)
        .where(col(Link.organisation_id) == organisation, col(Link.ended_at).is_not(None), col(Link.told_at).is_(None))
        .values(told_at=now, credentials_sealed=None)
    )


def _live(organisation: str) -> tuple[Any, ...]:
    return col(Link.organisation_id) == organisation, col(Link.ended_at).is_(None)


def _end(session: Session, log: Log, organisation: str, name: str, people: Sequence[str], now: datetime) -> None:
    log.turn(session, *people)
    live = select(Link.id, Link.person_id).where(*_live(organisation), col(Link.person_id).in_(people))
    for link, person in session.exec(live).all():
        if links.end(session, link, now, told=True):
            facts = {"organisation": organisation, "organisation_name": name}
            log.record(session, Event("unlinked", person, now, "system", facts))
