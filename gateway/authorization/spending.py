"""What may be used once, or no more: the jti of an assertion, a DPoP proof, a client's token that was given back. Kept
as a hash until it would have expired anyhow."""

from datetime import datetime

from sqlmodel import Session, col

from gateway.authorization.tables import SpentOnce
from gateway.ground.keys import hashed
from gateway.ground.store import Row, insert, instant

_SPENT = "SELECT expires_at FROM spentassertion WHERE id = ?"


def first_use(session: Session, what: str, until: datetime, now: datetime) -> bool:
    """Spend it, in this transaction. False: it was used before. Of many at once one is first, in all processes."""
    spent = insert(session, SpentOnce).values(id=hashed(what), expires_at=until)
    again = spent.on_conflict_do_update(
        index_elements=["id"], set_={"expires_at": until}, where=col(SpentOnce.expires_at) < now
    )
    return bool(session.execute(again).rowcount)  # type: ignore[attr-defined]


def is_spent(row: Row, what: str, now: datetime) -> bool:
    found = row(_SPENT, (hashed(what),))
    return found is not None and instant(found[0]) >= now
