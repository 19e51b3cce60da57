"""Rows of the access log. Nothing here is ever updated, except a chain's head; nothing is ever deleted."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel


class LogEntry(SQLModel, table=True):
    """One recorded fact of one person. Committed together with its cause; numbered later by the sequencer."""

    __table_args__ = (UniqueConstraint("person_id", "seq"),)
    id: int | None = Field(default=None, primary_key=True)  # order of commit
    person_id: str
    seq: int  # 1, 2, 3 … per person
    salt: bytes
    sealed: bytes  # nonce ‖ AES-256-GCM(payload) under the person's own key
    commitment: bytes  # SHA-256("gateway-access-entry/v1\n" ‖ salt ‖ payload)


class LogChain(SQLModel, table=True):
    """The head of each person's chain, and her data key, sealed: destroying it erases her entries."""

    __table_args__ = {"sqlite_with_rowid": False}
    person_id: str = Field(primary_key=True)
    seq: int = 0
    head: bytes = b""
    key_sealed: bytes | None = None


class LogLeaf(SQLModel, table=True):
    """The entry at each index of the tree. Set once, by the sequencer."""

    index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    entry_id: int = Field(unique=True)


class LogName(SQLModel, table=True):
    """The log's name (its origin, C2SP tlog-checkpoint), kept from the first start on. One row."""

    id: int = Field(default=1, primary_key=True)
    origin: str


class LogCheckpoint(SQLModel, table=True):
    """Every signed tree head, with the compact range that lets the next one go on from it."""

    size: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    root: bytes
    at_ms: int
    note: str
    frontier: bytes  # the roots of the perfect subtrees of `size`, largest first, 32 bytes each
