"""Putting a notice into the outbox, in the transaction of its cause; taking out what is due."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from gateway.ground.store import insert
from gateway.notices.tables import AppNotice


def put(
    session: Session, id: str, kind: str, client_id: str, address: str, about: Mapping[str, str], now: datetime
) -> None:
    """Tell it soon after this transaction. Whatever has the same `id` is there already stays as it is."""
    row = insert(session, AppNotice).values(
        id=id,
        kind=kind,
        client_id=client_id,
        address=address,
        about=json.dumps(about),
        made_at=now,
        due_at=now,
        attempts=0,
        outcome="",
    )
    session.execute(row.on_conflict_do_nothing(index_elements=["id"]))


def waiting(session: Session, kinds: Collection[str], now: datetime, most: int) -> list[str]:
    """The addresses for which something is due; first those for which nothing has failed yet."""
    due = select(AppNotice.address).where(col(AppNotice.done_at).is_(None), col(AppNotice.due_at) <= now)
    by_address = due.where(col(AppNotice.kind).in_(kinds)).group_by(AppNotice.address)
    return list(session.exec(by_address.order_by(func.min(AppNotice.attempts), func.min(AppNotice.due_at)).limit(most)))


def first(session: Session, kinds: Collection[str], address: str, now: datetime) -> AppNotice | None:
    """The oldest that is due at this address."""
    due = (AppNotice.address == address, col(AppNotice.done_at).is_(None), col(AppNotice.due_at) <= now)
    return session.exec(
        select(AppNotice).where(*due, col(AppNotice.kind).in_(kinds)).order_by(col(AppNotice.made_at)).limit(1)
    ).first()


def claim(session: Session, notice: AppNotice, again_at: datetime) -> bool:
    """Take it for one try. Unless that ends well it is due again at `again_at`, also if this process ends meanwhile.
    False: another process has taken it."""
    mine = (
        col(AppNotice.id) == notice.id,
        col(AppNotice.attempts) == notice.attempts,
        col(AppNotice.done_at).is_(None),
    )
    taken = update(AppNotice).where(*mine).values(attempts=notice.attempts + 1, due_at=again_at)
    return session.execute(taken).rowcount == 1  # type: ignore[attr-defined,no-any-return]


def finish(session: Session, id: str, outcome: str, now: datetime) -> None:
    session.execute(update(AppNotice).where(col(AppNotice.id) == id).values(done_at=now, outcome=outcome))


def hold(session: Session, address: str, until: datetime) -> None:
    """Nobody answers at this address: all that waits for it waits until then."""
    held = (col(AppNotice.address) == address, col(AppNotice.done_at).is_(None), col(AppNotice.due_at) < until)
    session.execute(update(AppNotice).where(*held).values(due_at=until))
