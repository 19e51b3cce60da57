"""Rows of the data plane: only what must survive a crash in the middle of a stream."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class OpenStream(SQLModel, table=True):
    """An answer on its way out. Gone with its outcome entry; found at start-up, its outcome is unknown."""

    id: str = Field(primary_key=True)  # request id
    person_id: str
    facts: str  # JSON: the facts of its access entry
    begun_at: datetime
