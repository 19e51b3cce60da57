"""Rows of the access log. Nothing is ever updated, except a chain's head; nothing is ever deleted, except tallies."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG


class LogEntry(SQLModel, table=True):
    """One recorded fact of one person. Committed together with its cause; numbered later by the sequencer.

    PostgreSQL keeps each month's entries as a table of its own (`months`): the bits of `id` above 44 are the month, so
    that an id alone says where its entry is. Below them ids are in the order in which entries were written; not in
    that of their commits, where several processes write.
    """

    __table_args__ = (Index("ix_logentry_person_seq", "person_id", "seq", unique=True),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    person_id: str
    seq: int = Field(sa_type=BIG)  # 1, 2, 3 … per person
    salt: bytes
    sealed: bytes  # nonce ‖ AES-256-GCM(payload) under the person's own key
    commitment: bytes  # SHA-256("gateway-access-entry/v1\n" ‖ salt ‖ payload)


class LogChain(SQLModel, table=True):
    """The head of each person's chain, and her data key, sealed: destroying it erases her entries."""

    __table_args__ = {"sqlite_with_rowid": False}
    person_id: str = Field(primary_key=True)
    seq: int = Field(default=0, sa_type=BIG)
    head: bytes = b""
    key_sealed: bytes | None = None
    tally: bytes | None = None  # of the entries since the last whole block (tally.py); None: there are none


class LogTally(SQLModel, table=True):
    """The accesses among one block of a person's entries, counted (tally.py). Gone when no page counts that far."""

    __table_args__ = {"sqlite_with_rowid": False}
    person_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})  # its last entry
    day: str = Field(index=True)  # of its latest entry, in UTC: tells when it may go
    sealed: bytes


class LogWaiting(SQLModel, table=True):
    """Entries that have no index yet. Written with each entry, and gone with its numbering: an entry that commits late
    is waiting all the same, whatever ids were numbered before."""

    entry_id: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})


class LogLeaf(SQLModel, table=True):
    """The entry at each index of the tree. Set once, by the sequencer."""

    index: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})
    entry_id: int = Field(unique=True, sa_type=BIG)


class LogName(SQLModel, table=True):
    """The log's name (its origin, C2SP tlog-checkpoint), kept from the first start on. One row."""

    id: int = Field(default=1, primary_key=True)
    origin: str


class LogCheckpoint(SQLModel, table=True):
    """Every signed tree head, with the compact range that lets the next one go on from it."""

    size: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})
    root: bytes
    at_ms: int = Field(sa_type=BIG)
    note: str
    frontier: bytes  # the roots of the perfect subtrees of `size`, largest first, 32 bytes each
