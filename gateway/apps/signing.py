"""Keys of our own by which something is signed for an app, made when the first app needs one of that algorithm."""

from datetime import datetime, timedelta

from gateway.apps import views
from gateway.ground.store import signing_keys
from gateway.house import House


def make_missing(house: House, now: datetime) -> list[str]:
    """The algorithms of which there was no key. Each key is made in a transaction of its own and signs at once."""
    with house.store.read() as session:
        needed = views.algorithms(session) - {row.algorithm for row in signing_keys.rows(session) if row.sealed}
    for algorithm in sorted(needed):
        with house.store.write() as session:
            signing_keys.rotate(session, house.keys, algorithm, now, timedelta(0))
    return sorted(needed)
