"""Apps that register themselves, and what they keep at addresses of their own."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0208"
down_revision = "0207"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("app", sa.Column("came_by", sa.String(), nullable=False, server_default="file"))
    for name in ("access_sha256", "invite_id"):
        op.add_column("app", sa.Column(name, sa.String(), nullable=True))
    op.add_column("app", sa.Column("jwks_read", sa.JSON(none_as_null=True), nullable=True))
    for name in ("jwks_read_at", "jwks_tried_at", "document_until", "document_tried_at"):
        op.add_column("app", sa.Column(name, UTCDateTime(), nullable=True))
    op.create_table(
        "appinvite",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("made_at", UTCDateTime(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.Column("withdrawn_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
