"""Requests that name a grant, what they do to it, and the version of the terms from which tokens are good."""

import sqlalchemy as sa
from alembic import op

revision = "0207"
down_revision = "0206"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("grant_management_action", "grant_id"):
        op.add_column("authorizationrequest", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("consent", sa.Column("action", sa.String(), nullable=False, server_default=""))
    op.add_column("consent", sa.Column("amends", sa.String(), nullable=True))
    op.add_column("consent", sa.Column("tokens_from", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tokenfamily", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
