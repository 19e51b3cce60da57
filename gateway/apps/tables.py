"""Rows of apps (OAuth clients)."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel


class App(SQLModel, table=True):
    client_id: str = Field(primary_key=True)
    metadata_: dict[str, Any] = Field(sa_column=Column("metadata", JSON, nullable=False))  # the checked declaration
    metadata_sha256: str  # changes with every change of the declaration
    auth_method: str  # profiles.AUTH_METHODS
    secret_sha256: str | None = None
    verified: bool = False
    status: str = "active"  # active | suspended
    status_reason: str = ""
    registered_at: datetime
    changed_at: datetime


class AppOrigin(SQLModel, table=True):
    """An origin from which a browser app calls (`origins`)."""

    origin: str = Field(primary_key=True)
    client_id: str = Field(foreign_key="app.client_id", primary_key=True, index=True)
