"""The generation of the directory (apps and organisations), keys and their check values, and what processes agree on.

Operators seldom change apps or organisations. Each change raises the one generation, and grants compiled from an older
one are compiled again. What people do often (link, unlink, give a birth date) must not do this to everybody: it is
read from their own rows.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, text
from sqlmodel import Field, Session, SQLModel, update

from gateway.ground.store.contract import DIRECTORY
from gateway.ground.store.statements import ends, raw, turn

BIG = BigInteger().with_variant(Integer(), "sqlite")  # 64 bits on both; SQLite's rows are numbered by INTEGER only


def where(condition: str) -> dict[str, Any]:
    """Of an Index: only the rows for which this holds, on both engines."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Directory(SQLModel, table=True):
    id: int = Field(default=1, primary_key=True)
    generation: int = 0


class KeyCheck(SQLModel, table=True):
    file: str = Field(primary_key=True)  # name of the key file, without its folder
    value: str  # identifies the key without revealing it


class SigningKeyRow(SQLModel, table=True):
    """A token key, from when it is published until long after it is accepted no more (signing_keys.py)."""

    __tablename__ = "signingkey"
    kid: str = Field(primary_key=True)  # its RFC 7638 thumbprint
    algorithm: str  # as RFC 7518 names it
    public: str  # JSON Web Key; for people who check what it once signed, never to accept anything by
    sealed: bytes  # the private key, sealed to kid and algorithm; empty once it is not accepted any more
    created_at: datetime
    published_from: datetime
    signs_from: datetime
    accepted_until: datetime | None = Field(default=None, index=True)  # set when a newer one of its algorithm signs
    ended_at: datetime | None = Field(default=None, index=True)  # in an emergency: from then on it is not accepted
    families_ended_at: datetime | None = None  # of one that was ended: when the last token family of before was, too


class SchemaServes(SQLModel, table=True):
    """The oldest revision whose program may serve this database: what a newer version has added does not disturb it."""

    id: int = Field(default=1, primary_key=True)
    oldest: str


class Process(SQLModel, table=True):
    """A process that serves this database, for as long as it says so every second (together.py)."""

    id: str = Field(primary_key=True)
    version: str
    seen_at: datetime


class Lease(SQLModel, table=True):
    """Work that one process has taken and no other may do meanwhile (`together.Leases`)."""

    id: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(index=True)


class Try(SQLModel, table=True):
    """One try of something that is limited (`together.Tries`): of a password, of a customer's code."""

    __table_args__ = (Index("ix_try_key_at", "key", "at"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    key: str
    at: datetime
    until: datetime = Field(index=True)  # when no limit counts it any more


def directory_generation(session: Session) -> int:
    """The present generation of the directory; 0: there was no change yet."""
    row = session.get(Directory, 1, populate_existing=True)
    return row.generation if row else 0


def directory_turn(session: Session) -> None:
    """Call this before reading what is changed of an app or organisation: one change after the other. Data calls share
    the turn: none that was judged before the change is recorded after it. It comes before any person's turn."""
    turn(session, DIRECTORY)


def directory_changed(session: Session) -> None:
    """Raise the generation. Call this in the transaction of every change of an app or organisation."""
    directory_turn(session)
    found = session.execute(
        update(Directory).where(Directory.id == 1).values(generation=Directory.generation + 1)  # type: ignore[arg-type]
    )
    if not found.rowcount:  # type: ignore[attr-defined]
        session.add(Directory(id=1, generation=1))
    ends(raw(session))
