"""Rows of apps (OAuth clients)."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class App(SQLModel, table=True):
    client_id: str = Field(primary_key=True)
    metadata_: dict[str, Any] = Field(sa_column=Column("metadata", JSON, nullable=False))  # the checked declaration
    metadata_sha256: str  # changes with every change of the part that people agree to (agreed.py)
    auth_method: str  # profiles.AUTH_METHODS
    secret_sha256: str | None = None
    verified: bool = False
    status: str = "active"  # active | suspended | deleted
    status_reason: str = ""
    registered_at: datetime
    changed_at: datetime
    came_by: str = "file"  # file: of the operator | dynamic: it registered itself | document: its client_id is one
    access_sha256: str | None = None  # of the token by which it manages its own registration (RFC 7592)
    invite_id: str | None = None  # by which it registered, where one was needed
    # What stood at its `jwks_uri`. It may be tried again and again (`tried_at`) while what was read stays.
    jwks_read: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    jwks_read_at: datetime | None = None
    jwks_tried_at: datetime | None = None
    document_until: datetime | None = None  # of a client id metadata document: when it is read again
    document_tried_at: datetime | None = None


class AppOrigin(SQLModel, table=True):
    """An origin from which a browser app calls (`origins`)."""

    origin: str = Field(primary_key=True)
    client_id: str = Field(foreign_key="app.client_id", primary_key=True, index=True)


class AppInvite(SQLModel, table=True):
    """An initial access token: whoever has it may register apps (RFC 7591 §3)."""

    id: str = Field(primary_key=True)  # SHA-256 of the token
    profile: str = ""  # the only one that may be registered with it; "": as the settings say
    uses_left: int
    made_at: datetime
    until: datetime
    withdrawn_at: datetime | None = None
