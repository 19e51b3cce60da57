"""Signing out is told to apps: the outbox of what apps are told, and sign-ins that go on in one browser."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0209"
down_revision = "0208"
branch_labels = None
depends_on = None

_WAITING = sa.text("done_at IS NULL")
_UNSPENT = sa.text("redeemed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "appnotice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        sa.Column("due_at", UTCDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", UTCDateTime(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for name, columns in (("due_at", ["due_at"]), ("address", ["address", "made_at"])):
        op.create_index(f"ix_appnotice_{name}", "appnotice", columns, sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("ix_appnotice_done_at", "appnotice", ["done_at"])
    op.add_column("signin", sa.Column("series", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_tokenfamily_sign_in", "tokenfamily", ["sign_in"])
    op.create_index(
        "ix_authorizationrequest_sign_in",
        "authorizationrequest",
        ["sign_in"],
        sqlite_where=_UNSPENT,
        postgresql_where=_UNSPENT,
    )
