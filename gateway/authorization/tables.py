"""Rows of the authorization server. Liveness is read: token → family → consent."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class AuthorizationRequest(SQLModel, table=True):
    """A pushed (or plain) authorization request, from first sight to spent code."""

    id: str = Field(primary_key=True)  # SHA-256 of the request_uri's secret
    client_id: str = Field(foreign_key="app.client_id", index=True)
    redirect_uri: str
    state: str | None = None
    scope: str = ""
    code_challenge: str
    nonce: str | None = None
    ui_locales: str = ""
    prompt: str = ""
    max_age: int | None = None
    details: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime
    expires_at: datetime
    opened_by: str | None = None  # person
    consent_id: str | None = None
    outcome: str = ""  # "" | granted | refused
    code_sha256: str | None = Field(default=None, unique=True)
    code_expires_at: datetime | None = None
    redeemed_at: datetime | None = None
    family_id: str | None = None


class TokenFamily(SQLModel, table=True):
    """All tokens that descend from one redeemed code. Ending this one row kills them all."""

    id: str = Field(primary_key=True)
    consent_id: str = Field(foreign_key="consent.id", index=True)
    client_id: str
    person_id: str
    auth_time: int  # epoch seconds of the sign-in behind it
    started_at: datetime
    ended_at: datetime | None = None
    ended_reason: str = ""  # revoked_by_app | code_replayed | refresh_replayed | merged


class RefreshToken(SQLModel, table=True):
    id: str = Field(primary_key=True)  # SHA-256
    family_id: str = Field(foreign_key="tokenfamily.id", index=True)
    client_id: str
    issued_at: datetime
    expires_at: datetime
    spent_at: datetime | None = None


class SpentAssertion(SQLModel, table=True):
    """jti of a client assertion, unique until it expires."""

    id: str = Field(primary_key=True)  # SHA-256 of client_id and jti
    expires_at: datetime
