"""Telling organisations later of ended links, if they could not be reached at the time.

The composition root runs `tell_pending` regularly, and an operator may run it too.
The link has already ended here; this only makes the organisation forget it.
"""

from datetime import datetime, timedelta
from functools import partial

from gateway.house import House
from gateway.organisations import links, views
from gateway.organisations.linking import Ending, tell_end

PATIENCE = timedelta(days=30)  # how long to try; by then most refresh tokens have expired by themselves
AT_ONCE = 50


def tell_pending(house: House, now: datetime) -> tuple[int, int]:
    """(told, still pending). An organisation that does not answer is called only once per run, so that it does not hold
    up the others."""
    with house.store.read() as session:
        waiting = links.untold(session)
        known = views.directory(session)
    told, down = 0, set()
    for link in waiting:
        if told >= AT_ONCE:
            break
        view = known.get(link.organisation_id)
        if view is None or link.ended_at is None or now - link.ended_at > PATIENCE:
            with house.store.write() as session:
                links.told(session, link.id, now)
        elif view.id not in down:
            ending = house.pools.submit("telling", view.id, partial(tell_end, house, link, now)).result()
            told += ending in (Ending.TOLD, Ending.NOTHING)
            if ending == Ending.DOWN:
                down.add(view.id)
    with house.store.read() as session:
        return told, len(links.untold(session))
