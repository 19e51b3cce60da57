"""Rows of organisations and of the links people made with them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG, where

LEAVING = "leaving"  # another organisation is taking its place: links end and no call is made (`moving`)


class Organisation(SQLModel, table=True):
    id: str = Field(primary_key=True)
    declaration: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    declaration_sha256: str
    client_secret_sealed: bytes | None = None  # the gateway's own secret, or secrets, at this organisation
    status: str = "active"  # active | suspended | leaving
    status_reason: str = ""
    added_at: datetime
    changed_at: datetime


class Link(SQLModel, table=True):
    """One person's link with one organisation. At most one link of the two is live."""

    __table_args__ = (Index("ix_link_untold", "ended_at", **where("ended_at IS NOT NULL AND told_at IS NULL")),)
    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    subject: str  # pairwise identifier under which we ask this organisation about the person
    customer: str = ""  # masked customer number, only shown to the person
    credentials_sealed: bytes | None = None  # JSON {access_token, refresh_token, expires_at, …} or {customer}
    accounts_sealed: bytes | None = None  # JSON {whose, accounts: list of FoundAccount or null while not read}
    generation: int = 1  # raised when credentials, accounts or state change
    linked_at: datetime
    ended_at: datetime | None = None
    told_at: datetime | None = None  # when the organisation was told of the end; None and ended: still to be told


class Undeclared(SQLModel, table=True):
    """A place in an organisation's answers that its declaration does not know. What stands there never leaves."""

    organisation_id: str = Field(foreign_key="organisation.id", primary_key=True)
    dataset: str = Field(primary_key=True)
    place: str = Field(primary_key=True)  # path of member names, never a value
    answers: int  # in how many it stood
    first_at: datetime
    last_at: datetime = Field(index=True)
    # the answers were refused because of what stands there: another type, or nothing that a record can be judged by
    refused: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})


class FileImport(SQLModel, table=True):
    """One file that an organisation gave, with the records of one call. At most one of a call is current: its parts
    are served until `until`. Every other one leaves, and its parts before it."""

    __table_args__ = (Index("ix_fileimport_of", "organisation_id", "call", "state"),)
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    call: str
    state: str  # coming | current | over
    sha256: str = ""
    size: int = Field(default=0, sa_type=BIG)  # of the file, in bytes
    records: int = 0
    customers: int = 0
    head_sealed: bytes | None = None  # what stands before the records: the names of a CSV file
    at: datetime
    until: datetime = Field(index=True)


class FilePart(SQLModel, table=True):
    """Some records of one customer, as they stand in the file."""

    import_id: str = Field(foreign_key="fileimport.id", primary_key=True)
    customer: str = Field(primary_key=True)  # `links.whose`: never the number itself
    piece: int = Field(primary_key=True)  # large files are sealed piece by piece
    records: int
    written: str = Field(default="", sa_column_kwargs={"server_default": ""})  # a MAC of the number as the file has it
    sealed: bytes


class FileCode(SQLModel, table=True):
    """A code by which one customer of an organisation that gives files shows who she is."""

    organisation_id: str = Field(foreign_key="organisation.id", primary_key=True)
    customer: str = Field(primary_key=True)  # `links.whose`
    code: str = Field(primary_key=True)  # a MAC, keyed and of this customer
    written: str = Field(default="", sa_column_kwargs={"server_default": ""})  # as of a file's part
    at: datetime
    until: datetime = Field(index=True)
    spent_by: str | None = None  # the attempt to link that used it; no other may


class LinkAttempt(SQLModel, table=True):
    """An attempt to link: OAuth state and verifier, or the customer number for which a code was sent."""

    id: str = Field(primary_key=True)  # SHA-256 of the state
    person_id: str = Field(foreign_key="person.id", index=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    sealed: bytes  # JSON: code_verifier, or customer_number
    return_to: str = "/organisations"
    tries: int = 0  # codes tried; counted before the organisation is asked, so that parallel tries count, too
    expires_at: datetime = Field(index=True)
    spent_at: datetime | None = None
