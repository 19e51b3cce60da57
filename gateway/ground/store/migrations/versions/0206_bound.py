"""Requests and tokens that are bound to a key, limited to some organisations, signed, or made to sign a person in."""

from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0206"
down_revision = "0205"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("resource", "dpop_jkt", "response_mode", "claims", "amr", "sign_in"):
        op.add_column("authorizationrequest", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("authorizationrequest", sa.Column("kind", sa.String(), nullable=False, server_default="code"))
    op.add_column("authorizationrequest", sa.Column("polled_at", UTCDateTime(), nullable=True))
    op.add_column("authorizationrequest", sa.Column("interval", sa.Integer(), nullable=False, server_default="0"))
    scope = sa.Column("scope", sa.String(), nullable=False, server_default="data_access")
    op.add_column("tokenfamily", scope)
    for name in ("resource", "jkt", "claims", "amr", "sign_in"):
        op.add_column("tokenfamily", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.create_table(
        "apporigin",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), sa.ForeignKey("app.client_id"), nullable=False),
        sa.PrimaryKeyConstraint("origin", "client_id"),
    )
    op.create_index("ix_apporigin_client_id", "apporigin", ["client_id"])
    app = sa.table("app", sa.column("client_id", sa.String()), sa.column("metadata", sa.JSON()))
    origins = sa.table("apporigin", sa.column("origin", sa.String()), sa.column("client_id", sa.String()))
    for client_id, said in op.get_bind().execute(sa.select(app.c.client_id, app.c.metadata)).fetchall():
        for origin in sorted(_origins(said)):
            op.execute(origins.insert().values(origin=origin, client_id=client_id))


def _origins(said: dict[str, Any]) -> set[str]:
    """As apps/origins.py had it when this was written."""
    if said["token_endpoint_auth_method"] != "none" or said["application_type"] != "web":
        return set()
    parts = [urlsplit(uri) for uri in said["redirect_uris"]]
    return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme in ("http", "https")}
