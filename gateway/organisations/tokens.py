"""Renewing the access tokens of OAuth links, one renewal at a time per link.

    1. wait until nobody else renews this link: no thread of this process, and no other process
    2. read the link as it is now: somebody else may have renewed it
    3. ask the organisation for a new token
    4. store it, if the link is live and still has the token that was renewed; again and again while the database cannot
       do it (`storing`)
    5. otherwise revoke the new token

The organisation may rotate its refresh token, so two renewals from one token would end the link (RFC 9700 §4.14), and
so would a new token that is lost.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlmodel import Session

from gateway.errors import NotKnownYet, Unavailable
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.pools import left
from gateway.ground.store import Store
from gateway.ground.store.together import WORK_SECONDS, one_at_a_time
from gateway.house import House
from gateway.log import Event
from gateway.organisations import declare, links, views
from gateway.organisations.links import Credentials, LinkView
from gateway.organisations.oauth import Ends
from gateway.organisations.tables import Link
from gateway.organisations.token_endpoint import GrantRefused
from gateway.settings import Settings

AGAIN_SECONDS = 0.25  # between two tries to store what an organisation has given
DROP_SECONDS = 3.0  # left for revoking what could not be stored

Result = TypeVar("Result")


@contextmanager
def _nobody_else(store: Store, link: str) -> Iterator[None]:
    with one_at_a_time(store, f"renewal {link}") as held:
        if not held:
            raise ConnectorError("organisation_slow", "another renewal of this link is under way")
        yield


def refreshed(house: House, link_id: str, now: datetime, *, refused: str | None = None) -> LinkView | None:
    """The link with a valid access token, renewed if need be. None: the link has ended.

    Call it in a worker thread, outside any transaction. `refused`: an access token that the organisation has just
    refused; it is renewed even if it has not expired. Raises ConnectorError if the organisation cannot be asked.
    """
    with _nobody_else(house.store, link_id):  # 1.
        with house.store.read() as session:  # 2.
            link, held = _now(session, house.keys, link_id)
            if link is None:
                return None
            if held is None or held.refresh_token is None:
                return links.view_of(house.keys, link)
            if held.access_token != refused and held.lives(now, links.EARLY_SECONDS):
                return links.view_of(house.keys, link)
            ends = ends_of(session, house, link.organisation_id, link_id)
        try:
            renewed = ends.renew(held, now)  # 3.
        except GrantRefused:
            _ended_there(house, link, ends, now)
            return None
        store = partial(links.store_credentials, keys=house.keys, link=link_id, old=held, held=renewed)
        if not storing(house.store, ends, renewed, store):  # 4.
            drop(ends, renewed)  # 5.
        with house.store.read() as session:
            link, _ = _now(session, house.keys, link_id)
            return links.view_of(house.keys, link) if link else None


def ends_of(session: Session, house: House, organisation: str, whose: str) -> Ends:
    """Where an organisation's OAuth server is. `whose`: as in `TokenClient`.

    Whoever sends it what belongs to a person reads both in one session, of one moment: another organisation may take
    its place in the next (`moving`), and must not get it.
    """
    view = views.view(session, organisation)
    if view is None:
        raise ConnectorError("not_linked", "organisation gone")
    return Ends(house, view, declare.client_secret(session, house.keys, organisation), fresh(16), whose)


def storing(store: Store, ends: Ends, held: Credentials, work: Callable[[Session], Result]) -> Result:
    """What `work` returns, which stores what the organisation has just given, in a transaction of its own. The
    organisation gives it once, and has taken for it what we had. So while the database cannot do it, it is tried again
    for as long as this work has time. Then the tokens are revoked, as nobody has them; but not where they may be stored
    all the same. Raises Unavailable.

    `work` may be called when an earlier try was committed after all.
    """
    until = time.monotonic() + min(left(), WORK_SECONDS) - DROP_SECONDS
    unknown: NotKnownYet | None = None
    while True:
        try:
            with store.write() as session:
                return work(session)
        except Unavailable as error:
            unknown = error if isinstance(error, NotKnownYet) else unknown
            if time.monotonic() + AGAIN_SECONDS < until and not store.fault():
                time.sleep(AGAIN_SECONDS)
                continue
            if unknown:
                raise unknown from error
            drop(ends, held)
            raise


def drop(ends: Ends, held: Credentials) -> bool:
    """Revoke tokens that are not kept. If that fails, they expire by themselves. Returns whether it succeeded."""
    try:
        ends.revoke(held)
    except ConnectorError:
        return False
    return True


def _now(session: Session, keys: KeyRing, link_id: str) -> tuple[Link | None, Credentials | None]:
    link = session.get(Link, link_id)
    if link is None or link.ended_at is not None:
        return None, None
    return links.kept(session, link), links.credentials(keys, link)


def _ended_there(house: House, link: Link, ends: Ends, now: datetime) -> None:
    """End a link that the organisation has ended, with an entry in the person's log."""
    with house.store.write() as session:
        house.log.turn(session, link.person_id)
        if links.end(session, link.id, now, told=True):
            facts = {
                "organisation": link.organisation_id,
                "organisation_name": spoken(house.settings, ends.organisation),
            }
            house.log.record(session, Event("unlinked", link.person_id, now, "organisation", facts))


def spoken(settings: Settings, organisation: views.OrganisationView) -> str:
    """The name kept in log entries, readable when the organisation has gone."""
    return organisation.name[settings.default_language]
