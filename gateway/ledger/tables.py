"""Rows of the data plane: what must survive a crash during a stream, and what processes must know of one another."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class OpenStream(SQLModel, table=True):
    """A streamed answer that has begun. The row is deleted with the entry of its outcome. If it is still there at
    start-up, nobody knows how much the app received."""

    id: str = Field(primary_key=True)  # request id
    person_id: str
    process: str  # which serves it (store.tables.Process)
    facts: str  # JSON: the facts of its access entry
    begun_at: datetime


class SpentProof(SQLModel, table=True):
    """A DPoP proof with which data was given, until it would have expired. Where one process serves the database it
    keeps them in memory, and this stays empty."""

    id: bytes = Field(primary_key=True)  # 16 bytes of the SHA-256 of its key and jti
    expires_at: datetime = Field(index=True)


class Listing(SQLModel, table=True):
    """A listing of which a use was counted: its following pages are the same use. As above, not with one process."""

    id: bytes = Field(primary_key=True)  # 16 bytes of the SHA-256 of what names it
    expires_at: datetime = Field(index=True)
