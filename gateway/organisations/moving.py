"""When an organisation's address changes: only the operator knows whether it is still the same organisation.

People have linked with the organisation at the old origin (scheme, host, port). Its tokens, and assertions that name
these people, must go to nobody else. So while anybody is linked, a new origin is refused until the operator says:

    moved      it is the same organisation under a new address: links stay
    replaced   it is another one, or the operator is not sure: every link ends, which people can read in their logs

The organisation at the old address is not told of these ends, because it is not called any more, and the new one must
not learn of these people.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, func, select, update

from gateway.errors import Fault
from gateway.log import Event, Log
from gateway.organisations import links
from gateway.organisations.tables import Link, LinkAttempt

PORTS = {"https": 443, "http": 80}


def origin(document: Mapping[str, Any]) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454 §4) of a checked declaration."""
    parts = urlsplit(document["connection"]["base_url"])
    return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]


def unsaid(session: Session, organisation: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Fault | None:
    """The fault, if the origin changes while anybody is linked and the operator has not said why."""
    count = session.exec(
        select(func.count()).where(col(Link.organisation_id) == organisation, col(Link.ended_at).is_(None))
    ).one()
    if not count or origin(old) == origin(new):
        return None
    was, people = old["connection"]["base_url"], "one person has" if count == 1 else f"{count} people have"
    return Fault(
        "connection.base_url",
        f"was {was}, where {people} linked an account",
        "say --moved if the same organisation answers at the new address (links stay), "
        "or --replaced if it is another one (they end)",
    )


def replaced(session: Session, log: Log, organisation: str, name: str, now: datetime) -> int:
    """End what hangs from the old address: links, linkings under way, ends still to be told. How many links ended."""
    live = (col(Link.organisation_id) == organisation, col(Link.ended_at).is_(None))
    log.turn(session, *session.exec(select(Link.person_id).where(*live)))
    session.execute(delete(LinkAttempt).where(col(LinkAttempt.organisation_id) == organisation))
    ended = 0
    for link, person in session.exec(select(Link.id, Link.person_id).where(*live)).all():
        if links.end(session, link, now, told=True):
            facts = {"organisation": organisation, "organisation_name": name}
            log.record(session, Event("unlinked", person, now, "system", facts))
            ended += 1
    session.execute(
        update(Link)
        .where(col(Link.organisation_id) == organisation, col(Link.told_at).is_(None))
        .values(told_at=now, credentials_sealed=None)
    )
    return ended
