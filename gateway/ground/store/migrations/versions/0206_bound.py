"""Requests and tokens that are bound to a key, limited to some organisations, signed, or made to sign a person in."""

import sqlalchemy as sa
from alembic import op

revision = "0206"
down_revision = "0204"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("resource", "dpop_jkt", "response_mode", "claims", "amr", "sign_in"):
        op.add_column("authorizationrequest", sa.Column(name, sa.String(), nullable=False, server_default=""))
    scope = sa.Column("scope", sa.String(), nullable=False, server_default="data_access")
    op.add_column("tokenfamily", scope)
    for name in ("resource", "jkt", "claims", "amr", "sign_in"):
        op.add_column("tokenfamily", sa.Column(name, sa.String(), nullable=False, server_default=""))
