"""Rows of the data plane: only what must survive a crash during a stream."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class OpenStream(SQLModel, table=True):
    """A streamed answer that has begun. The row is deleted with the entry of its outcome. If it is still there at
    start-up, nobody knows how much the app received."""

    id: str = Field(primary_key=True)  # request id
    person_id: str
    facts: str  # JSON: the facts of its access entry
    begun_at: datetime
