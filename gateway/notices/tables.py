"""The outbox."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import where

_WAITING = where("done_at IS NULL")


class AppNotice(SQLModel, table=True):
    """One thing that one app is to be told. Kept for a while after that, for an operator who looks for it."""

    __table_args__ = (
        Index("ix_appnotice_due_at", "due_at", **_WAITING),
        Index("ix_appnotice_address", "address", "made_at", **_WAITING),
        Index("ix_appnotice_done_at", "done_at"),
    )
    id: str = Field(primary_key=True)  # of its cause: the same thing is told once
    kind: str  # of sending.Kinds
    client_id: str
    address: str  # as it was registered then
    about: str  # JSON: what the message is made of; identifiers that this app knows already, nothing else
    made_at: datetime
    due_at: datetime  # when it is to be tried next
    attempts: int = 0
    done_at: datetime | None = None
    outcome: str = ""  # told | refused (by the app) | given_up (after long enough) | dropped (not to be told any more)
