"""Streams of apps, and what waits in them."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG


class SignalStream(SQLModel, table=True):
    """One app's stream. An app has one at most."""

    id: str = Field(primary_key=True)
    client_id: str = Field(unique=True)
    method: str  # rules.PUSH, rules.POLL
    endpoint: str = ""  # where it is pushed to
    authorization_sealed: bytes | None = None  # the Authorization field of every push, as the app gave it
    requested: str  # JSON: the types of events that the app asked for
    description: str = ""
    status: str  # rules.Status
    reason: str = ""
    made_at: datetime
    verified_at: datetime | None = None  # when the app last asked for a verification
    due_at: datetime = Field(index=True)  # of a push: when it is tried next
    failing_since: datetime | None = None  # of a push: since when no try has ended well


class SignalEvent(SQLModel, table=True):
    """What one app is to be told: until it says that it has it, or it has waited for too long."""

    __table_args__ = (Index("ix_signalevent_stream_id", "stream_id", "id"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)  # those of one person in their order
    jti: str = Field(unique=True)
    stream_id: str
    person_id: str  # whom it is about; "": the stream itself
    session: str = ""  # of a sign-in that has ended: what the app knows as `sid`
    type: str  # a type of rules.TYPES
    about: str  # JSON: what the event says
    at: datetime = Field(index=True)


class SignalSilence(SQLModel, table=True):
    """Somebody of whom an app does not want to hear."""

    stream_id: str = Field(primary_key=True)
    sub: str = Field(primary_key=True)  # by which this app knows the person
