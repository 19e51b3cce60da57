"""Rows of consents. Terms and events are only ever inserted. A consent's state always follows from its events."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG, where


class Consent(SQLModel, table=True):
    __table_args__ = (  # for finding consents whose end is due (expiry.py), and requests to delete (retention.py)
        Index("ix_consent_state_until", "state", "until"),
        Index("ix_consent_state_created_at", "state", "created_at"),
        Index("ix_consent_reason_ended_at", "reason", "ended_at"),
        Index("ix_consent_answer_by", "answer_by", **where("state = 'requested'")),
    )
    id: str = Field(primary_key=True)  # public, stable, equals grant_id; not a secret
    person_id: str = Field(foreign_key="person.id", index=True)
    app_id: str = Field(foreign_key="app.client_id", index=True)
    purpose: str
    state: str  # rules.State
    reason: str = ""  # rules.EndReason when ended
    generation: int = 1  # raised by every change, so that grants compiled from an older generation are not used
    version: int = 0  # current version of the terms; 0: nobody has agreed yet
    asked: str  # JSON: the access request as validated (request.Ask)
    created_at: datetime
    granted_at: datetime | None = None
    until: datetime | None = None  # end of the current terms
    ended_at: datetime | None = None
    last_access_at: datetime | None = None
    replaces: str | None = Field(default=None, index=True)
    action: str = ""  # rules.CREATE, MERGE, REPLACE: what the app asked for with it
    amends: str | None = None  # id of the agreement that a merge or replace is to change
    tokens_from: int = 0  # version of the terms: tokens of an earlier one are worth nothing
    # Of a request that the app made while she was not there (inbox.py):
    via: str = ""  # the protocol by which it was made; "": on a page that she had opened
    message: str = ""  # the app's own words, by which she recognises what it is about
    answer_by: datetime | None = None  # until when she may answer; None: as of any page (asking.answer_by)
    subject: str = Field(default="", index=True)  # how the app knows her, as in the terms
    draft: str | None = None  # JSON: who marked what on the screen (asking.keep_draft); gone with the answer


class Terms(SQLModel, table=True):
    """One immutable version of what was agreed, as canonical JSON (RFC 8785)."""

    consent_id: str = Field(foreign_key="consent.id", primary_key=True)
    version: int = Field(primary_key=True)
    json_: str = Field(sa_column_kwargs={"name": "json"})
    sha256: str
    previous: str | None = None  # sha256 of version - 1
    created_at: datetime


class ConsentEvent(SQLModel, table=True):
    """What happened to a consent, as a hash chain: `seq` has no gaps, `prev_sha256` covers the whole event before."""

    consent_id: str = Field(foreign_key="consent.id", primary_key=True)
    seq: int = Field(primary_key=True)
    type: str
    at: datetime
    actor: str  # actors.Kind
    reason: str = ""
    version: int = 0
    prev_sha256: str
    sha256: str


class Silence(SQLModel, table=True):
    """She has refused an app something: until then it cannot ask her for the same purpose while she is not there."""

    person_id: str = Field(foreign_key="person.id", primary_key=True)
    app_id: str = Field(foreign_key="app.client_id", primary_key=True)
    purpose: str = Field(primary_key=True)
    since: datetime
    until: datetime = Field(index=True)


class Evidence(SQLModel, table=True):
    """What the person saw when she decided: enough to render it again and get the same hash."""

    consent_id: str = Field(foreign_key="consent.id", primary_key=True)
    version: int = Field(primary_key=True)
    language: str
    template: str
    template_sha256: str
    shown_sealed: bytes  # all facts the template was rendered from; encrypted, because they name the person's accounts
    text_sha256: str
    offered_json: str
    chosen_json: str
    shown_at: datetime
    decided_at: datetime


class Use(SQLModel, table=True):
    """Counted uses per calendar window (`frequency` of the terms), written in the transaction that logs the access."""

    __table_args__ = {"sqlite_with_rowid": False}
    consent_id: str = Field(foreign_key="consent.id", primary_key=True)
    item: str = Field(primary_key=True)  # organisation/dataset; "" for the consent as a whole (max_uses)
    window: str = Field(primary_key=True)  # hour | day | week | month | year | ever
    start: int = Field(primary_key=True, index=True, sa_type=BIG)  # epoch seconds of the window's start; 0 for ever
    used: int = 0
