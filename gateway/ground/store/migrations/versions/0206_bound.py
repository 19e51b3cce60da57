"""Requests and tokens that are bound to a key, limited to some organisations, or answered by a signed response."""

import sqlalchemy as sa
from alembic import op

revision = "0206"
down_revision = "0204"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("resource", "dpop_jkt", "response_mode"):
        op.add_column("authorizationrequest", sa.Column(name, sa.String(), nullable=False, server_default=""))
    for name in ("resource", "jkt"):
        op.add_column("tokenfamily", sa.Column(name, sa.String(), nullable=False, server_default=""))
